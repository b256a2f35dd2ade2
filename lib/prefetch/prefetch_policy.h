#ifndef PAGELIFT_LIB_PREFETCH_PREFETCH_POLICY_H_
#define PAGELIFT_LIB_PREFETCH_PREFETCH_POLICY_H_

#include <cstdint>
#include <optional>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"

namespace pagelift {

// All pages that a target can have.
inline constexpr PageRange kEveryPage{PageId(0), PageCount(uint64_t{1} << 52)};

// The missing pages of one address space, as a policy sees them. What it
// returns is claimed: it is not missing any more, and is to be fetched. Pieces
// are contiguous in the target and in the image, and at most `most` pages.
class MissingPages {
 public:
  virtual ~MissingPages() = default;

  // The first missing page of `within`, and missing pages that follow it.
  virtual std::optional<PageMap::Piece> ClaimFirst(PageRange within,
                                                   PageCount most) = 0;
  // The last missing page of `within`, and missing pages that lead up to it.
  virtual std::optional<PageMap::Piece> ClaimLast(PageRange within,
                                                  PageCount most) = 0;
  // The first page of `image` that is missing somewhere, and missing pages that
  // follow it there.
  virtual std::optional<PageMap::Piece> ClaimImage(ImageRange image,
                                                   PageCount most) = 0;
};

// A fault that had to ask the source.
struct DemandFault {
  PageId page;
  ImagePage image;
};

// In which order the missing pages of one address space are brought.
//
// Pure: no clock, no I/O, the same answers for the same calls, so that it is
// judged in a simulator as it runs. Thread-compatible.
class PrefetchPolicy {
 public:
  virtual ~PrefetchPolicy() = default;

  // In the order in which they came.
  virtual void OnFault(const DemandFault& fault) = 0;

  // Claims what is to be brought next, at most `most` pages; nothing if it
  // wants none of what is missing. REQUIRES: most is at least 1.
  virtual std::optional<PageMap::Piece> Next(MissingPages& pages,
                                             PageCount most) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_PREFETCH_POLICY_H_
