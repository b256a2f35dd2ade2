#ifndef PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_
#define PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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

  // The server has request `id` from `now` on, by MonotonicNow().
  void MarkSent(uint64_t id, absl::Duration now);

  struct Taken {
    int attempt;          // The request's.
    absl::Duration sent;  // When it went to the server.
  };
  // Takes `range` off request `id` at `now`. kInvalidArgument, and no change,
  // if that was not asked for.
  absl::StatusOr<Taken> Take(uint64_t id, ImageRange range, absl::Duration now);

  // When the request of which `page` is left was sent; InfiniteDuration() if
  // none is at the server.
  absl::Duration SentAt(ImagePage page) const;

  // When the request at the server that has waited longest was sent, or was
  // answered in part; InfiniteDuration() if the server has none.
  absl::Duration WaitingSince() const;
  // When a request was last sent or answered in part.
  absl::Duration last_progress() const { return last_progress_; }

  // Everything outstanding as new requests, not sent yet, which replace the old
  // ones.
  std::vector<Request> Renew();

  bool empty() const { return requests_.empty(); }
  // Requests, however much of each is left.
  size_t size() const { return requests_.size(); }

 private:
  struct Entry {
    // What is left of it: disjoint, hardly ever more than one.
    absl::InlinedVector<ImageRange, 1> left;
    int attempt;
    absl::Duration sent = absl::InfiniteDuration();
    // When it was sent or last answered in part; infinite: not sent yet.
    absl::Duration since = absl::InfiniteDuration();
  };

  uint64_t next_id_ = 1;
  absl::Duration last_progress_;
  absl::flat_hash_map<uint64_t, Entry> requests_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_OUTSTANDING_H_
