#ifndef TESTS_E2E_TARGETS_PATTERNED_REGION_H_
#define TESTS_E2E_TARGETS_PATTERNED_REGION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::e2e {

// A stretch of memory, in pages, that knows what each page ought to hold.
// Does not own the memory.
//
// Thread-safe as long as no two threads write to, or check while another
// writes to, the same page.
class PatternedRegion {
 public:
  // Pages start out as expected to be zeros, as those of a new mapping are.
  // No two regions of one target may have the same name.
  PatternedRegion(std::string name, std::byte* base, size_t pages,
                  uint64_t seed);

  // Maps `pages` of private anonymous memory; dies if it cannot.
  static PatternedRegion Map(std::string name, size_t pages, uint64_t seed);

  // Writes to page `index` a pattern that it has never held.
  void Rewrite(size_t index);
  void RewriteAll();

  // Writes zeros, so that the page is in memory and holds nothing else.
  void WriteZeros(size_t index);

  // Somebody made all pages zeros, or moved them, without going through here.
  void AllBecameZeros();
  void MovedTo(std::byte* base) { base_ = base; }

  void MakeReadOnly();

  // Reads page `index`, every byte; what is wrong with it, if anything.
  std::optional<std::string> Check(size_t index) const;

  const std::string& name() const { return name_; }
  std::byte* base() const { return base_; }
  size_t pages() const { return expected_.size(); }
  size_t bytes() const { return pages() * kPageBytes; }
  bool writable() const { return writable_; }

 private:
  struct Expected {
    uint32_t generation = 0;  // Never goes back, so that old bytes show.
    bool zeros = true;
  };

  PageTag TagOf(size_t index) const;
  std::byte* At(size_t index) const { return base_ + index * kPageBytes; }

  std::string name_;
  std::byte* base_;
  uint64_t seed_;
  bool writable_ = true;
  std::vector<Expected> expected_;
};

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_PATTERNED_REGION_H_
