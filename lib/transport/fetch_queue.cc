#include "lib/transport/fetch_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pagelift {
namespace {

// Of one request; docs/wire_protocol.md.
constexpr uint64_t kMaxPagesPerRequest = 262144;
// Requests a client may have waiting on one stream.
constexpr size_t kMaxWaiting = 4096;

}  // namespace

absl::Status FetchQueue::Enter(const v1::FetchRequest& request) {
  if (request.has_cancel()) {
    auto it = std::find_if(
        waiting_.begin(), waiting_.end(),
        [&](const Turn& turn) { return turn.id == request.cancel().id(); });
    if (it == waiting_.end()) return absl::OkStatus();
    cancelled_.push_back(*it);
    cancelled_.back().cancelled = true;
    waiting_.erase(it);
    return absl::OkStatus();
  }
  if (!request.has_fetch()) {
    return absl::InvalidArgumentError("expected a fetch or a cancel");
  }
  const v1::PageRequest& fetch = request.fetch();
  const uint64_t limit = page_count_.raw();
  if (fetch.page_count() == 0 || fetch.page_count() > kMaxPagesPerRequest ||
      fetch.first_page() >= limit ||
      fetch.page_count() > limit - fetch.first_page()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a request for ", fetch.page_count(), " pages from page ",
                     fetch.first_page(), "; the image has ", limit,
                     " and a request may be for 1 to ", kMaxPagesPerRequest));
  }
  if (waiting_.size() >= kMaxWaiting) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxWaiting, " requests waiting"));
  }
  const ImageRange range = {ImagePage(fetch.first_page()),
                            PageCount(fetch.page_count())};
  waiting_.push_back(
      {fetch.id(), range, false, next_serial_++, fetch.may_compress()});
  return absl::OkStatus();
}

FetchQueue::Turn FetchQueue::Next() const {
  return cancelled_.empty() ? waiting_.front() : cancelled_.front();
}

bool FetchQueue::Answered(const Turn& turn, ImageRange rest) {
  if (turn.cancelled) {
    cancelled_.pop_front();
    return true;
  }
  if (waiting_.empty() || waiting_.front().serial != turn.serial) return false;
  waiting_.front().range = rest;
  if (rest.empty()) waiting_.pop_front();
  return true;
}

}  // namespace pagelift
