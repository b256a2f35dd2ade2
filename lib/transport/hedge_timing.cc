#include "lib/transport/hedge_timing.h"

#include <algorithm>

namespace pagelift {
namespace {

// It is computed anew after so many, and not before.
constexpr size_t kEvery = 16;

}  // namespace

void HedgeTiming::NoteDemand() {
  tenths_ = std::min(tenths_ + 1, 10 * kMostSaved);
}

void HedgeTiming::NoteRoundTrip(absl::Duration round_trip) {
  round_trips_[seen_++ % kRemembered] = round_trip;
  if (seen_ % kEvery != 0) return;
  std::array<absl::Duration, kRemembered> sorted = round_trips_;
  const size_t count = std::min(seen_, kRemembered);
  const auto p95 = sorted.begin() + static_cast<ptrdiff_t>(count * 95 / 100);
  std::nth_element(sorted.begin(), p95,
                   sorted.begin() + static_cast<ptrdiff_t>(count));
  late_after_ = std::clamp(*p95, kSoonest, kLatest);
}

}  // namespace pagelift
