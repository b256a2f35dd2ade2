#include "lib/transport/client_quota.h"

#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// A client that is refused thousands of times is not to fill the log.
constexpr absl::Duration kTellEvery = absl::Seconds(10);

}  // namespace

std::optional<ClientQuota::Place> ClientQuota::Enter(
    const std::string& client) {
  absl::MutexLock lock(&mu_);
  size_t& count = held_[client];
  if (count < most_) {
    ++count;
    return Place(this, client);
  }
  if (count == 0) held_.erase(client);
  ++refused_;
  const absl::Duration now = MonotonicNow();
  if (kTellEvery <= now - told_) {
    LOG(Warning) << client << " has " << most_ << " " << what_
                 << ", and may not have more: " << refused_ << " refused";
    told_ = now;
    refused_ = 0;
  }
  return std::nullopt;
}

void ClientQuota::Leave(const std::string& client) {
  absl::MutexLock lock(&mu_);
  const auto entry = held_.find(client);
  if (--entry->second == 0) held_.erase(entry);
}

}  // namespace pagelift
