#ifndef PAGELIFT_LIB_PREFETCH_BUBBLE_H_
#define PAGELIFT_LIB_PREFETCH_BUBBLE_H_

#include <optional>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Outward from the latest fault, in both directions by turns, until nothing is
// missing: what will be touched next is near what was touched last. (Bubbling
// is by Hines and Gopalan, VEE 2009.) Before the first fault it comes down from
// the highest address, where the stack is.
//
// Runs grow from small ones at the fault, which arrive soon, to `most`.
//
// Thread-compatible.
class Bubble : public PrefetchPolicy {
 public:
  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

 private:
  std::optional<PageMap::Piece> Above(MissingPages& pages, PageCount most);
  std::optional<PageMap::Piece> Below(MissingPages& pages, PageCount most);

  // What is missing between them has been claimed since the latest fault.
  PageId below_{kEveryPage.limit()};
  PageId above_{kEveryPage.limit()};
  bool upward_ = true;                // Whose turn it is.
  PageCount run_ = kEveryPage.count;  // The next one's length.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_BUBBLE_H_
