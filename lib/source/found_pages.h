#ifndef PAGELIFT_LIB_SOURCE_FOUND_PAGES_H_
#define PAGELIFT_LIB_SOURCE_FOUND_PAGES_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"
#include "lib/source/page_store.h"

namespace pagelift {

// A run of pages that are all data, all zero, or all lost.
struct FoundPages {
  PageCount count;  // At least one.
  bool zero = false;
  absl::Span<const std::byte> bytes;  // Of data: a part of the buffer.
  absl::Status lost;                  // Why, if they are.
};

// Reads the first pages of `range`: the one place where it is decided whether a
// page is zero, or has been lost since the store was opened. A run of data is
// no longer than `buffer`, which holds it; a run of zeros is as long as it is,
// and the file is asked about it. REQUIRES: `range` is not empty, `buffer` is
// whole pages, at least one.
FoundPages FindFirstPages(const PageStore& store, ImageRange range,
                          absl::Span<std::byte> buffer);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_FOUND_PAGES_H_
