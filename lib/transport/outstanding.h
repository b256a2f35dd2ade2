#ifndef PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_
#define PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// The requests of a stream that are not fully answered yet, page by page.
//
// Thread-compatible.
class Outstanding {
 public:
  // A request that is to be sent; `attempt` counts how often its pages arrived
  // damaged.
  struct Request {
    uint64_t id;
    ImageRange range;
    int attempt;
  };

  // Enters a request and returns it, with an id that no other has.
  Request Add(ImageRange range, int attempt = 0);

  // Takes `range` off request `id`; the value is the request's attempt.
  // kInvalidArgument, and no change, if that was not asked for.
  absl::StatusOr<int> Take(uint64_t id, ImageRange range);

  // Everything outstanding as new requests, which replace the old ones.
  std::vector<Request> Renew();

  bool empty() const { return requests_.empty(); }
  // Requests, however much of each is left.
  size_t size() const { return requests_.size(); }

 private:
  struct Entry {
    // What is left of it: disjoint, hardly ever more than one.
    absl::InlinedVector<ImageRange, 1> left;
    int attempt;
  };

  uint64_t next_id_ = 1;
  absl::flat_hash_map<uint64_t, Entry> requests_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_
