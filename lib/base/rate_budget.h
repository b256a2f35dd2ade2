#ifndef PAGELIFT_LIB_BASE_RATE_BUDGET_H_
#define PAGELIFT_LIB_BASE_RATE_BUDGET_H_

#include <algorithm>
#include <limits>

#include "absl/time/time.h"

namespace pagelift {

// Something of which so much may be spent a second. More may be spent at once,
// and is owed then.
//
// Pure: it is told the time, by one monotonic clock. Thread-compatible.
class RateBudget {
 public:
  // There is always enough.
  RateBudget() = default;
  // What is saved up in `burst` may be spent at once.
  RateBudget(double per_second, absl::Duration burst)
      : per_second_(per_second), burst_(burst) {}

  void Spend(double amount, absl::Duration now) {
    if (is_endless()) return;
    paid_at_ =
        std::max(paid_at_, now - burst_) + absl::Seconds(amount / per_second_);
  }

  // Nothing is owed, and nothing saved up.
  void Settle(absl::Duration now) { paid_at_ = now; }

  // How long it is, from now on, until nothing is owed any more and what comes
  // in during `reserve` is saved up; zero if so it is.
  absl::Duration Pause(absl::Duration now,
                       absl::Duration reserve = absl::ZeroDuration()) const {
    if (is_endless()) return absl::ZeroDuration();
    return std::max(absl::ZeroDuration(), paid_at_ + reserve - now);
  }

 private:
  bool is_endless() const {
    return per_second_ == std::numeric_limits<double>::infinity();
  }

  double per_second_ = std::numeric_limits<double>::infinity();
  absl::Duration burst_;
  // When all that was spent is paid for.
  absl::Duration paid_at_ = -absl::InfiniteDuration();
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_RATE_BUDGET_H_
