#ifndef PAGELIFT_LIB_PREFETCH_REPLAY_H_
#define PAGELIFT_LIB_PREFETCH_REPLAY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Follows the order in which an earlier run touched its pages. Ends with it, or
// when faults are elsewhere by now: when less than a tenth of the latest were
// on its pages.
//
// A page is followed by those that lie after it and were touched at any time:
// they are fetched together.
//
// Thread-compatible.
class Replay : public PrefetchPolicy {
 public:
  explicit Replay(std::vector<ImagePage> order);

  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

  // Has nothing more to give.
  bool ended() const { return gave_up_ || next_ == runs_.size(); }

 private:
  std::vector<ImageRange> runs_;
  size_t next_ = 0;
  absl::flat_hash_set<ImagePage> recorded_;
  // Of the faults since they were last counted.
  uint64_t faults_ = 0;
  uint64_t hits_ = 0;
  bool gave_up_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_REPLAY_H_
