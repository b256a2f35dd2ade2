#ifndef TESTS_STRESS_TORTURE_FIELD_H_
#define TESTS_STRESS_TORTURE_FIELD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/stress/torture/operation_log.h"
#include "tests/stress/torture/random.h"
#include "tests/stress/torture/shadow_page.h"

namespace pagelift::stress {

// Pages [first, first + count) of a field.
struct Run {
  size_t first = 0;
  size_t count = 0;

  size_t limit() const { return first + count; }
  size_t bytes() const { return count * kPageBytes; }
};

// A stretch of addresses that one thread does to as it likes, and the shadow of
// each page. Mappings never cross the borders of its slots.
//
// The owner changes shadows between BeginChange() and EndChange(), so that
// other threads can tell whether what they have read meanwhile means anything.
// Everything lies in mappings of its own at addresses that the id determines:
// no allocator reaches in there, and a forked child finds all of it.
class Field {
 public:
  static constexpr size_t kSlotPages = 64;

  // Maps every second slot, and fills most of that.
  Field(uint32_t id, size_t slots, uint64_t seed);
  Field(const Field&) = delete;
  Field& operator=(const Field&) = delete;

  uint32_t id() const { return id_; }
  uint64_t seed() const { return seed_; }
  size_t slots() const { return slots_; }
  size_t pages() const { return slots_ * kSlotPages; }
  std::byte* At(size_t page) const { return base_ + page * kPageBytes; }
  // What its owner did.
  OperationLog& log() { return *log_; }
  ShadowPage& shadow(size_t page) { return shadows_[page]; }
  const ShadowPage& shadow(size_t page) const { return shadows_[page]; }

  static Run Slot(size_t slot) { return {slot * kSlotPages, kSlotPages}; }
  // The rest of its slot, `page` included.
  static Run RestOfSlot(size_t page) {
    return {page, kSlotPages - page % kSlotPages};
  }
  bool IsUnmapped(Run run) const;

  // At most `most` pages of equal attributes for which `is` holds, anywhere;
  // nothing if none was found with reasonable effort.
  template <typename Is>
  std::optional<Run> Pick(Random& random, size_t most, Is is) const;
  // `count` unmapped pages in one slot.
  std::optional<Run> PickUnmapped(Random& random, size_t count) const;

  // A new mapping was made in `run`.
  void MakeFresh(Run run);
  // The shadows go where the pages went; the old place is unmapped.
  void Move(Run from, size_t to);
  // A pattern that no page has ever held. REQUIRES: writable.
  void Rewrite(size_t page);
  void Patch(size_t page, size_t word, uint64_t value);

  void BeginChange(Run run) { Step(run); }
  void EndChange(Run run) { Step(run); }
  // Odd while the owner changes the page.
  uint32_t Steps(size_t page) const {
    return steps_[page].load(std::memory_order_acquire);
  }

 private:
  void Step(Run run);
  uint64_t NewNumber() { return uint64_t{id_} << 40 | next_number_++; }

  const uint32_t id_;
  const size_t slots_;
  const uint64_t seed_;
  std::byte* const base_;
  uint64_t next_number_ = 1;
  OperationLog* log_;
  ShadowPage* shadows_;
  std::atomic<uint32_t>* steps_;
};

template <typename Is>
std::optional<Run> Field::Pick(Random& random, size_t most, Is is) const {
  for (int attempt = 0; attempt < 32; ++attempt) {
    const size_t first = random.Below(pages());
    if (!is(shadow(first))) continue;
    Run run{first, 1};
    const size_t limit = RestOfSlot(first).limit();
    while (run.count < most && run.limit() < limit &&
           shadow(run.limit()).SameAttributes(shadow(first)) &&
           is(shadow(run.limit()))) {
      ++run.count;
    }
    return run;
  }
  return std::nullopt;
}

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_FIELD_H_
