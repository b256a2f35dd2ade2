#ifndef PAGELIFT_LIB_PREFETCH_MIX_H_
#define PAGELIFT_LIB_PREFETCH_MIX_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/bubble.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/prefetch/replay.h"
#include "lib/prefetch/streams.h"

namespace pagelift {

// What a pager uses: streams first, which are few pages and nearly certain;
// then the recorded order and the neighbourhood of the latest fault, page for
// page. Brings everything in the end. docs/prefetch.md says why it is so.
//
// Thread-compatible.
class Mix : public PrefetchPolicy {
 public:
  // `recorded`: in which order pages were touched before; empty if nobody
  // knows.
  explicit Mix(std::vector<ImagePage> recorded);

  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

 private:
  Streams streams_;
  Replay replay_;
  Bubble bubble_;
  // How many pages more replay has given than the bubble; at most one run.
  int64_t replay_ahead_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_MIX_H_
