#include "lib/transport/fetch_handler.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Of one request; docs/wire_protocol.md.
constexpr uint64_t kMaxPagesPerRequest = 262144;
// Requests a client may have waiting on one stream.
constexpr size_t kMaxPending = 4096;
constexpr char kShuttingDown[] = "the page server is shutting down";

}  // namespace

FetchHandler::FetchHandler(const BatchWriter& writer, PageCount page_count,
                           grpc::ServerContext& context, Stream& stream)
    : writer_(writer),
      page_count_(page_count),
      context_(context),
      stream_(stream) {}

absl::StatusOr<FetchHandler::Pending> FetchHandler::Check(
    const v1::FetchRequest& request) const {
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
  return Pending{
      fetch.id(),
      {ImagePage(fetch.first_page()), PageCount(fetch.page_count())}};
}

void FetchHandler::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  if (!answering_) context_.TryCancel();
}

absl::Status FetchHandler::ServeDemand() {
  v1::FetchRequest request;
  while (stream_.Read(&request)) {
    // On a demand stream an answer is never still to come when a cancel is
    // read.
    if (request.has_cancel()) continue;
    ASSIGN_OR_RETURN(Pending pending, Check(request));
    {
      absl::MutexLock lock(&mu_);
      answering_ = true;
    }
    while (!pending.range.empty()) {
      if (!stream_.Write(writer_.NextBatch(pending.id, &pending.range))) {
        return absl::CancelledError("the client went away");
      }
    }
    absl::MutexLock lock(&mu_);
    answering_ = false;
    if (draining_) return absl::UnavailableError(kShuttingDown);
  }
  return absl::OkStatus();
}

void FetchHandler::MoveToCancelled(uint64_t id) {
  auto it =
      std::find_if(pending_.begin(), pending_.end(),
                   [id](const Pending& pending) { return pending.id == id; });
  if (it != pending_.end()) {
    cancelled_.splice(cancelled_.end(), pending_, it);
  }
}

void FetchHandler::ReadAhead() {
  v1::FetchRequest request;
  absl::Status error;
  while (error.ok() && stream_.Read(&request)) {
    absl::MutexLock lock(&mu_);
    if (request.has_cancel()) {
      MoveToCancelled(request.cancel().id());
      continue;
    }
    absl::StatusOr<Pending> pending = Check(request);
    if (!pending.ok()) {
      error = pending.status();
    } else if (pending_.size() >= kMaxPending) {
      error = absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxPending, " requests waiting"));
    } else {
      pending_.push_back(*pending);
    }
  }
  absl::MutexLock lock(&mu_);
  read_error_ = error;
  reading_ = false;
}

bool FetchHandler::NextMessage(grpc::ByteBuffer* message) {
  auto something = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !reading_ || draining_ || !pending_.empty() || !cancelled_.empty();
  };
  absl::MutexLock lock(&mu_);
  while (true) {
    mu_.Await(absl::Condition(&something));
    if (!read_error_.ok()) return false;
    if (!cancelled_.empty()) {
      *message = ErrorBatch(cancelled_.front().id, cancelled_.front().range,
                            absl::CancelledError("cancelled"));
      cancelled_.pop_front();
      return true;
    }
    if (pending_.empty()) return false;
    auto answered = pending_.begin();
    const uint64_t id = answered->id;
    ImageRange rest = answered->range;
    mu_.Unlock();
    *message = writer_.NextBatch(id, &rest);  // Perhaps from a disk.
    mu_.Lock();
    const bool cancelled = pending_.empty() || pending_.begin() != answered;
    if (cancelled) continue;
    answered->range = rest;
    if (rest.empty()) pending_.pop_front();
    return true;
  }
}

absl::Status FetchHandler::ServePrefetch() {
  {
    absl::MutexLock lock(&mu_);
    answering_ = true;
    if (draining_) return absl::UnavailableError(kShuttingDown);
  }
  std::thread reader([this] { ReadAhead(); });
  grpc::ByteBuffer message;
  bool open = true;
  while (open && NextMessage(&message)) open = stream_.Write(message);
  {
    absl::MutexLock lock(&mu_);
    // Ends the reader's Read().
    if (!open || draining_) context_.TryCancel();
  }
  reader.join();
  absl::MutexLock lock(&mu_);
  if (!open) return absl::CancelledError("the client went away");
  return read_error_;
}

}  // namespace pagelift
