#ifndef PAGELIFT_LIB_PREFETCH_PREFETCH_PACE_H_
#define PAGELIFT_LIB_PREFETCH_PREFETCH_PACE_H_

#include "absl/time/time.h"
#include "lib/base/rate_budget.h"
#include "lib/memory/page.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {

// When a mode lets the next prefetch request go.
//
// Pure: it is told the time, by one monotonic clock. Thread-compatible.
class PrefetchPace {
 public:
  void SetMode(PrefetchMode mode, absl::Duration now);
  PrefetchMode mode() const { return mode_; }

  // A thread waits for a page, or did until now.
  void OnDemand(absl::Duration now) { last_demand_ = now; }
  // Pages were asked for.
  void OnAsked(PageCount pages, absl::Duration now);

  // How long from now on nothing is to be asked for; zero if something may be;
  // InfiniteDuration() if nothing is until the mode changes.
  absl::Duration Pause(absl::Duration now) const;

 private:
  PrefetchMode mode_;
  absl::Duration last_demand_ = -absl::InfiniteDuration();
  RateBudget bytes_;  // Of kRate.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_PREFETCH_PACE_H_
