#ifndef PAGELIFT_LIB_PREFETCH_ADDRESS_SWEEP_H_
#define PAGELIFT_LIB_PREFETCH_ADDRESS_SWEEP_H_

#include <optional>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// From the lowest address up, whatever faults: what CRIU's lazy-pages does.
//
// Thread-compatible.
class AddressSweep : public PrefetchPolicy {
 public:
  // How long a run may be besides what is asked for: `first` to begin with and
  // after each fault, and `step` longer each time, up to `largest`.
  struct Runs {
    PageCount first;
    PageCount step;
    PageCount largest;
  };
  // CRIU's: 64 KiB to 4 MiB.
  static constexpr Runs kGrowing = {PageCount(16), PageCount(16),
                                    PageCount(1024)};

  explicit AddressSweep(Runs runs = kGrowing);

  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

 private:
  const Runs runs_;
  PageCount run_;  // The next one's length.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_ADDRESS_SWEEP_H_
