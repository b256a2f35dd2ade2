#include "tests/links/bottleneck.h"

#include <algorithm>

namespace pagelift::links {

absl::Duration Bottleneck::RoomAt(absl::Duration now) const {
  if (options_.bytes_per_second <= 0) return now;
  return std::max(
      now, free_at_ - absl::Seconds(static_cast<double>(options_.line_bytes) /
                                    options_.bytes_per_second));
}

absl::Duration Bottleneck::Enter(size_t bytes, absl::Duration now) {
  free_at_ = AfterStall(std::max(free_at_, now));
  if (options_.bytes_per_second > 0) {
    free_at_ = AfterStall(free_at_ + absl::Seconds(static_cast<double>(bytes) /
                                                   options_.bytes_per_second));
  }
  const double late = std::uniform_real_distribution<double>()(random_);
  return free_at_ + options_.delay + options_.jitter * late;
}

absl::Duration Bottleneck::AfterStall(absl::Duration time) const {
  if (options_.stall_every <= absl::ZeroDuration()) return time;
  // The first one begins after a whole period.
  const absl::Duration within = (time - began_) % options_.stall_every;
  const bool first = time - began_ < options_.stall_every;
  if (first || options_.stall <= within) return time;
  return time + (options_.stall - within);
}

}  // namespace pagelift::links
