#ifndef PAGELIFT_LIB_PREFETCH_SWEEP_FROM_FAULT_H_
#define PAGELIFT_LIB_PREFETCH_SWEEP_FROM_FAULT_H_

#include <optional>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Up from the latest fault, and from the lowest address again when the highest
// is reached: what QEMU's post-copy does.
//
// Thread-compatible.
class SweepFromFault : public PrefetchPolicy {
 public:
  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

 private:
  PageId next_ = kEveryPage.first;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_SWEEP_FROM_FAULT_H_
