#ifndef PAGELIFT_LIB_SOURCE_PAGE_DIGESTS_H_
#define PAGELIFT_LIB_SOURCE_PAGE_DIGESTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/source/page_source.h"

namespace pagelift {

// What the pages of an image hold, in few bytes: 64 bits of XXH3 each, which
// tell copies from what was damaged, not from what somebody has forged.
struct PageDigests {
  std::vector<uint64_t> pages;  // By their numbers in the image.
  PageCount zero;               // Of them hold zeros only.
  std::vector<ImagePage> lost;  // The image does not have them intact.
  std::string why_lost;         // Of one of them.

  // 16 hexadecimal digits over all of them; the same for every whole copy.
  std::string OfAll() const;
};

// Reads every page of `source`, which must not have been started, and stops it.
// Waits for a source whose far end is away; kUnavailable if that is lost for
// good. Meanwhile tells `progress`, several times a second, how many pages are
// done, and what is wrong, if anything is.
absl::StatusOr<PageDigests> DigestPages(
    PageSource& source,
    absl::FunctionRef<void(PageCount done, const std::string& trouble)>
        progress);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_PAGE_DIGESTS_H_
