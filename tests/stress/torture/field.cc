#include "tests/stress/torture/field.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace pagelift::stress {
namespace {

// Far below where the kernel places what has no address of its own.
constexpr uint64_t kFirstField = uint64_t{1} << 44;
constexpr uint64_t kFieldStride = uint64_t{1} << 34;

std::byte* BaseOf(uint32_t id) {
  return reinterpret_cast<std::byte*>(kFirstField + id * kFieldStride);
}

void* MapOrDie(void* at, size_t bytes, int flags) {
  void* mapped = mmap(at, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (mapped == MAP_FAILED) {
    std::perror("mmap");
    std::_Exit(70);
  }
  return mapped;
}

}  // namespace

Field::Field(uint32_t id, size_t slots, uint64_t seed)
    : id_(id), slots_(slots), seed_(seed), base_(BaseOf(id)) {
  log_ = new (MapOrDie(nullptr, sizeof(OperationLog), 0)) OperationLog;
  shadows_ = new (MapOrDie(nullptr, pages() * sizeof(ShadowPage), 0))
      ShadowPage[pages()];
  steps_ = new (MapOrDie(nullptr, pages() * sizeof(std::atomic<uint32_t>), 0))
      std::atomic<uint32_t>[pages()]();
  Random random(seed ^ id);
  for (size_t slot = 0; slot < slots; slot += 2) {
    const Run run = Slot(slot);
    MapOrDie(At(run.first), run.bytes(), MAP_FIXED_NOREPLACE);
    MakeFresh(run);
    for (size_t page = run.first; page < run.limit(); ++page) {
      if (!random.OneIn(8)) Rewrite(page);
    }
  }
}

bool Field::IsUnmapped(Run run) const {
  for (size_t page = run.first; page < run.limit(); ++page) {
    if (shadow(page).mapped()) return false;
  }
  return true;
}

std::optional<Run> Field::PickUnmapped(Random& random, size_t count) const {
  for (int attempt = 0; attempt < 32; ++attempt) {
    const Run slot = Slot(random.Below(slots_));
    if (count > slot.count) return std::nullopt;
    const Run run{slot.first + random.Below(slot.count - count + 1), count};
    if (IsUnmapped(run)) return run;
  }
  return std::nullopt;
}

void Field::MakeFresh(Run run) {
  for (size_t page = run.first; page < run.limit(); ++page) {
    shadow(page).BecomeFresh();
    shadow(page).number = NewNumber();
    shadow(page).generation = 0;
  }
}

void Field::Move(Run from, size_t to) {
  for (size_t i = 0; i < from.count; ++i) {
    shadow(to + i) = shadow(from.first + i);
    shadow(from.first + i).BecomeUnmapped();
  }
}

void Field::Rewrite(size_t page) {
  ShadowPage& shadow = this->shadow(page);
  shadow.contents = ShadowPage::Contents::kPattern;
  shadow.patched_word = ShadowPage::kNoPatch;
  ++shadow.generation;
  shadow.Fill(seed_, At(page));
}

void Field::Patch(size_t page, size_t word, uint64_t value) {
  ShadowPage& shadow = this->shadow(page);
  shadow.patched_word = static_cast<uint16_t>(word);
  shadow.patch = value;
  *reinterpret_cast<volatile uint64_t*>(At(page) + word * sizeof(value)) =
      value;
}

void Field::Step(Run run) {
  for (size_t page = run.first; page < run.limit(); ++page) {
    steps_[page].fetch_add(1, std::memory_order_acq_rel);
  }
}

}  // namespace pagelift::stress
