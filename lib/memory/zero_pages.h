#ifndef PAGELIFT_LIB_MEMORY_ZERO_PAGES_H_
#define PAGELIFT_LIB_MEMORY_ZERO_PAGES_H_

#include <cstddef>

#include "absl/types/span.h"
#include "lib/memory/page.h"

namespace pagelift {

// A run of pages that are all zero, or all not.
struct ZeroRun {
  bool zero = false;
  PageCount count;
};

// The longest such run at the beginning of `bytes`, a run of data cut at
// `most_data` pages. A page that holds data costs one look at its first words
// in most cases, a zero page 0.05 µs. REQUIRES: bytes.size() is a positive
// multiple of the page size, `most_data` > 0.
ZeroRun FirstRun(absl::Span<const std::byte> bytes, PageCount most_data);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_ZERO_PAGES_H_
