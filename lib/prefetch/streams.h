#ifndef PAGELIFT_LIB_PREFETCH_STREAMS_H_
#define PAGELIFT_LIB_PREFETCH_STREAMS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Finds faults that go through memory by equal steps, several such streams at
// once among others, and brings what they will touch next.
//
// Two equal steps, of at most 64 pages up or down, open a stream. It brings 4
// pages ahead; each fault that comes where those end shows that they were used,
// and doubles them, up to 64; one that comes near but elsewhere halves them,
// and two in a row close the stream. At most 8 at a time: a new one displaces
// the one that has been silent for longest.
//
// Thread-compatible.
class Streams : public PrefetchPolicy {
 public:
  void OnFault(const DemandFault& fault) override;
  std::optional<PageMap::Piece> Next(MissingPages& pages,
                                     PageCount most) override;

 private:
  struct Stream {
    int64_t step;     // In pages; not 0.
    int64_t next;     // The page to bring next.
    uint64_t left;    // How many steps of the window have not been brought.
    uint64_t window;  // In steps.
    int misses = 0;
    uint64_t used_at;  // The number of the last fault of it.
  };

  bool Continues(int64_t page);
  void Open(int64_t page);
  std::optional<PageMap::Piece> Bring(Stream& stream, MissingPages& pages,
                                      PageCount most);

  std::vector<Stream> streams_;
  std::deque<int64_t> recent_;  // Pages of the latest faults of no stream.
  uint64_t faults_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_STREAMS_H_
