#ifndef TESTS_E2E_TARGETS_SHARED_MEMORY_H_
#define TESTS_E2E_TARGETS_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "tests/e2e/targets/patterned_region.h"

namespace pagelift::e2e {

// Memory that CRIU restores itself, and never lazily: shared anonymous memory,
// and a memfd that is mapped twice shared and once privately, some of whose
// pages have been written to there. Dies if it cannot be had.
//
// Thread-safe as PatternedRegion is.
class SharedMemory {
 public:
  // `pages` for each kind.
  SharedMemory(size_t pages, uint64_t seed);

  std::deque<PatternedRegion>& regions() { return regions_; }

  // Whether both shared mappings of the memfd show the same. Nobody may write
  // meanwhile.
  bool MappingsAgree() const;

 private:
  std::deque<PatternedRegion> regions_;
  const std::byte* first_ = nullptr;
  const std::byte* second_ = nullptr;
  size_t bytes_;
};

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_SHARED_MEMORY_H_
