#include "lib/transport/stream_admission.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/source/page_store.h"

namespace pagelift {
namespace {

// A batch is never larger than gRPC's default limit for a message that is
// received, with room for its other fields.
constexpr uint64_t kMaxBatchBytes = 2 << 20;
constexpr uint64_t kDefaultBatchBytes = 256 << 10;

}  // namespace

absl::Status ShuttingDownError() {
  return absl::UnavailableError("the page server is shutting down");
}

absl::StatusOr<StreamAdmission::Admitted> StreamAdmission::Admit(
    const v1::FetchRequest& first, const ClientIdentity& client) {
  if (!first.has_start()) {
    return absl::InvalidArgumentError("the first request must be `start`");
  }
  const v1::FetchStart& start = first.start();
  if (start.urgency() != v1::URGENCY_DEMAND &&
      start.urgency() != v1::URGENCY_PREFETCH) {
    return absl::InvalidArgumentError("`start` names no urgency");
  }
  std::optional<ClientQuota::Place> place = quota_.Enter(client.Account());
  if (!place.has_value()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        client.ToString(), " has as many streams as it may have here"));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const PageStore> store,
                   images_.Open(client, start.image()));
  const ImageDescription& description = store->description();
  RETURN_IF_ERROR(CheckContentId(start.image(), start.content_id(),
                                 description.content_id));
  const PageCount page_count = description.page_count;
  const uint64_t bytes = start.max_batch_bytes() == 0
                             ? kDefaultBatchBytes
                             : std::clamp<uint64_t>(start.max_batch_bytes(),
                                                    kPageSize, kMaxBatchBytes);
  return Admitted{BatchWriter(std::move(store), PageCount(bytes / kPageSize)),
                  FetchQueue(page_count),
                  start.urgency(),
                  start.image(),
                  *std::move(place),
                  SpendingOf(client)};
}

absl::Status StreamAdmission::Enter(ServedStream* stream) {
  absl::MutexLock lock(&mu_);
  if (draining_) return ShuttingDownError();
  streams_.insert(stream);
  return absl::OkStatus();
}

void StreamAdmission::Leave(ServedStream* stream) {
  absl::MutexLock lock(&mu_);
  streams_.erase(stream);
}

uint64_t StreamAdmission::open_streams() const {
  absl::MutexLock lock(&mu_);
  return streams_.size();
}

void StreamAdmission::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  for (ServedStream* stream : streams_) stream->Drain();
}

}  // namespace pagelift
