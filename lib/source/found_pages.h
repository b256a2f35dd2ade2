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
  absl::Span<const std::byte> bytes;  // Of data, as StoredRun::bytes.
  absl::Status lost;                  // Why, if they are.
};

// Looks at the first pages of `range`: the one place where it is decided
// whether a page is zero, or has been lost since the store was opened. A run of
// data is cut at `most_data`. Pages that hold data cost no system call, a run
// of zeros costs one. REQUIRES: `range` is not empty, `most_data` > 0.
FoundPages FindFirstPages(const PageStore& store, ImageRange range,
                          PageCount most_data);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_FOUND_PAGES_H_
