#ifndef PAGELIFT_LIB_PREFETCH_DEMAND_ONLY_H_
#define PAGELIFT_LIB_PREFETCH_DEMAND_ONLY_H_

#include <optional>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Brings nothing that nobody waits for.
//
// Thread-compatible.
class DemandOnly : public PrefetchPolicy {
 public:
  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_DEMAND_ONLY_H_
