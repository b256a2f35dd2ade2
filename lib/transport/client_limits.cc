#include "lib/transport/client_limits.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// What a client that was quiet may have at once.
constexpr absl::Duration kBurst = absl::Seconds(1);
// Prefetch leaves so much of it to demand.
constexpr absl::Duration kReserve = absl::Milliseconds(200);
constexpr absl::Duration kShortestPause = absl::Milliseconds(1);
constexpr absl::Duration kLongestPause = absl::Milliseconds(100);

RateBudget BudgetOf(double per_second) {
  return per_second > 0 ? RateBudget(per_second, kBurst) : RateBudget();
}

}  // namespace

ClientSpending::ClientSpending(const ClientLimits& limits)
    : requests_(BudgetOf(limits.requests_per_second)),
      bytes_(BudgetOf(limits.bytes_per_second)) {}

bool ClientSpending::Take(v1::Urgency urgency, uint64_t bytes) {
  const absl::Duration now = MonotonicNow();
  absl::MutexLock lock(&mu_);
  if (PauseAt(now, urgency) > absl::ZeroDuration()) return false;
  requests_.Spend(1, now);
  bytes_.Spend(static_cast<double>(bytes), now);
  return true;
}

bool ClientSpending::TakeSoon(v1::Urgency urgency, uint64_t bytes,
                              absl::Duration longest,
                              absl::FunctionRef<bool()> is_cancelled) {
  const absl::Duration until = MonotonicNow() + longest;
  while (!Take(urgency, bytes)) {
    const absl::Duration pause = Pause(urgency);
    if (is_cancelled() || MonotonicNow() + pause > until) return false;
    // Another one may have been quicker.
    absl::SleepFor(std::clamp(pause, kShortestPause, kLongestPause));
  }
  return true;
}

void ClientSpending::GiveBack(uint64_t bytes) {
  const absl::Duration now = MonotonicNow();
  absl::MutexLock lock(&mu_);
  bytes_.Spend(-static_cast<double>(bytes), now);
}

absl::Duration ClientSpending::Pause(v1::Urgency urgency) const {
  const absl::Duration now = MonotonicNow();
  absl::MutexLock lock(&mu_);
  return PauseAt(now, urgency);
}

absl::Duration ClientSpending::PauseAt(absl::Duration now,
                                       v1::Urgency urgency) const {
  const absl::Duration reserve =
      urgency == v1::URGENCY_DEMAND ? absl::ZeroDuration() : kReserve;
  return std::max(requests_.Pause(now, reserve), bytes_.Pause(now, reserve));
}

std::shared_ptr<ClientSpending> ClientLedger::Of(const std::string& client) {
  if (limits_.bytes_per_second <= 0 && limits_.requests_per_second <= 0) {
    return nullptr;
  }
  absl::MutexLock lock(&mu_);
  std::shared_ptr<ClientSpending>& spending = clients_[client];
  if (spending != nullptr) return spending;
  spending = std::make_shared<ClientSpending>(limits_);
  std::shared_ptr<ClientSpending> made = spending;
  // Those that are gone and owe nothing are as new ones.
  if (clients_.size() > forget_at_) {
    absl::erase_if(clients_, [](const auto& entry) {
      return entry.second.use_count() == 1 &&
             entry.second->Pause(v1::URGENCY_PREFETCH) == absl::ZeroDuration();
    });
    forget_at_ = 2 * clients_.size() + 64;
  }
  return made;
}

}  // namespace pagelift
