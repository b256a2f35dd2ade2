#include "lib/transport/criu_request_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"

namespace pagelift {

void CriuRequestQueue::Add(const CriuPages& pages, ImagePage first,
                           Urgency urgency) {
  CHECK(!pages.pages.empty());
  std::deque<Request>& waiting =
      urgency == Urgency::kDemand ? demand_ : prefetch_;
  PageRange rest = pages.pages;
  while (!rest.empty()) {
    const PageCount count = std::min(rest.count, kMostPages);
    waiting.push_back({{pages.pid, {rest.first, count}}, first, urgency});
    rest = {rest.first + count, rest.count - count};
    first = first + count;
  }
}

std::optional<CriuPages> CriuRequestQueue::Send() {
  std::deque<Request>& waiting = demand_.empty() ? prefetch_ : demand_;
  if (waiting.empty()) return std::nullopt;
  const Request& request = waiting.front();
  if (request.urgency == Urgency::kPrefetch) {
    const PageCount after = prefetch_on_wire_ + request.pages.pages.count;
    if (kPrefetchWindow < after) return std::nullopt;
    prefetch_on_wire_ = after;
  }
  sent_.push_back(request);
  waiting.pop_front();
  return sent_.back().pages;
}

absl::StatusOr<ImageRange> CriuRequestQueue::Take(const CriuPages& reply) {
  if (sent_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pages ", ToString(reply.pages), " came, and none were asked for"));
  }
  const Request request = sent_.front();
  const CriuPages& asked = request.pages;
  if (reply.pid != asked.pid || reply.pages.first != asked.pages.first ||
      reply.pages.empty() || asked.pages.count < reply.pages.count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pages ", ToString(reply.pages), " of task ", reply.pid,
        " came instead of ", ToString(asked.pages), " of task ", asked.pid));
  }
  sent_.pop_front();
  if (request.urgency == Urgency::kPrefetch) {
    prefetch_on_wire_ = prefetch_on_wire_ - asked.pages.count;
  }
  const PageCount came = reply.pages.count;
  if (came < asked.pages.count) {
    Request rest = request;
    rest.pages.pages =
        PageRange::Between(reply.pages.limit(), asked.pages.limit());
    rest.first = request.first + came;
    (request.urgency == Urgency::kDemand ? demand_ : prefetch_)
        .push_front(rest);
  }
  return ImageRange{request.first, came};
}

void CriuRequestQueue::DropWaiting() {
  demand_.clear();
  prefetch_.clear();
}

std::vector<ImageRange> CriuRequestQueue::DropAll() {
  std::vector<ImageRange> dropped;
  for (std::deque<Request>* requests : {&sent_, &demand_, &prefetch_}) {
    for (const Request& request : *requests) {
      dropped.push_back({request.first, request.pages.pages.count});
    }
    requests->clear();
  }
  prefetch_on_wire_ = PageCount(0);
  return dropped;
}

}  // namespace pagelift
