#include "lib/prefetch/prefetch_pace.h"

#include <algorithm>

namespace pagelift {
namespace {

// After a fault more of them are likely.
constexpr absl::Duration kIdleAfter = absl::Milliseconds(5);
// What may be caught up after a pause.
constexpr absl::Duration kBurst = absl::Milliseconds(20);

}  // namespace

void PrefetchPace::SetMode(PrefetchMode mode, absl::Duration now) {
  mode_ = mode;
  if (mode.kind != PrefetchMode::Kind::kRate) return;
  bytes_ =
      RateBudget(static_cast<double>(mode.mib_per_second) * (1 << 20), kBurst);
  bytes_.Settle(now);
}

void PrefetchPace::OnAsked(PageCount pages, absl::Duration now) {
  if (mode_.kind != PrefetchMode::Kind::kRate) return;
  bytes_.Spend(static_cast<double>(pages.bytes()), now);
}

absl::Duration PrefetchPace::Pause(absl::Duration now) const {
  switch (mode_.kind) {
    case PrefetchMode::Kind::kFull:
      return absl::ZeroDuration();
    case PrefetchMode::Kind::kIdle:
      return std::max(absl::ZeroDuration(), last_demand_ + kIdleAfter - now);
    case PrefetchMode::Kind::kRate:
      return bytes_.Pause(now);
    case PrefetchMode::Kind::kOff:
      return absl::InfiniteDuration();
  }
  return absl::ZeroDuration();
}

}  // namespace pagelift
