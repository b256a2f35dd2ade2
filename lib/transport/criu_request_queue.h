#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_REQUEST_QUEUE_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_REQUEST_QUEUE_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/source/page_source.h"
#include "lib/transport/criu_message.h"

namespace pagelift {

// What is asked of a CRIU page server and in which order: demand as soon as it
// comes, prefetch as far as the window goes. Replies come in the order of the
// requests; one may be shorter than its request, and the rest is asked again.
//
// Decides only, sends nothing. Thread-compatible.
class CriuRequestQueue {
 public:
  // 256 KiB: what a demand waits for at most, and what is under way while we
  // install; in two requests, so that the server never waits for us.
  static constexpr PageCount kPrefetchWindow{64};
  static constexpr PageCount kMostPages{32};  // Of one request.

  // REQUIRES: as many image pages as pages of the task, at least one.
  void Add(const CriuPages& pages, ImagePage first, Urgency urgency);

  // The next request to send, which from then on is taken to be on the wire.
  std::optional<CriuPages> Send();

  // A reply announces `reply`: the image pages that it brings. kInvalidArgument
  // if these are not the first of the oldest request.
  absl::StatusOr<ImageRange> Take(const CriuPages& reply);

  // Forgets what has not been sent.
  void DropWaiting();
  // Everything that is not answered, on the wire or not.
  std::vector<ImageRange> DropAll();

  bool nothing_on_wire() const { return sent_.empty(); }

 private:
  struct Request {
    CriuPages pages;
    ImagePage first;
    Urgency urgency;
  };

  std::deque<Request> demand_;
  std::deque<Request> prefetch_;
  std::deque<Request> sent_;    // In the order of the replies.
  PageCount prefetch_on_wire_;  // Of sent_.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_REQUEST_QUEUE_H_
