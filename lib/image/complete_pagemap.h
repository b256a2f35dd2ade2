#ifndef PAGELIFT_LIB_IMAGE_COMPLETE_PAGEMAP_H_
#define PAGELIFT_LIB_IMAGE_COMPLETE_PAGEMAP_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/image/memory_layout.h"
#include "lib/memory/page.h"

namespace pagelift {

// Makes of `contents`, a pagemap file that lacks lazy pages, one with `pages`,
// in address order and disjoint: what it has of them already stays as it is,
// the others are lazy and without contents. `name` is for errors.
// kFailedPrecondition: one of them is not in a mapping that is lazy in
// `layout`.
absl::StatusOr<std::string> CompletePagemap(const std::string& name,
                                            std::string_view contents,
                                            const MemoryLayout& layout,
                                            absl::Span<const PageRange> pages);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_COMPLETE_PAGEMAP_H_
