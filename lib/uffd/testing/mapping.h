#ifndef PAGELIFT_LIB_UFFD_TESTING_MAPPING_H_
#define PAGELIFT_LIB_UFFD_TESTING_MAPPING_H_

#include <cstddef>
#include <cstdint>

#include "lib/memory/page.h"

namespace pagelift {

// What mmap(2) gives for these arguments, of whatever kind; MappedPages is
// simpler where the kind does not matter. Aborts the test if it gives nothing.
//
// Unmapped in the end: not for a userfaultfd whose unmap events nobody reads.
// Thread-compatible.
class Mapping {
 public:
  Mapping(PageCount count, int protection, int flags, int file = -1);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  PageRange range() const { return range_; }
  PageRange range(uint64_t first, uint64_t count) const {
    return {at(first), PageCount(count)};
  }
  PageId at(uint64_t index) const { return range_.first + PageCount(index); }
  std::byte* data(uint64_t index = 0) const;

 private:
  PageRange range_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_MAPPING_H_
