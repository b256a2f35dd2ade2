#include "tests/bench/prefetch_sim/window.h"

#include <algorithm>
#include <cstdint>

namespace pagelift::bench {
namespace {

constexpr double kGain = 1.5;
constexpr uint64_t kLeast = 16;
// What is behind a request on the link waits no longer.
constexpr absl::Duration kRequestTime = absl::Microseconds(200);
constexpr uint64_t kLargestRequest = 64;
constexpr PageCount kUnbounded{1 << 20};

uint64_t PagesIn(const LinkModel& link, absl::Duration time) {
  return static_cast<uint64_t>(link.bytes_per_second *
                               absl::ToDoubleSeconds(time)) /
         kPageSize;
}

}  // namespace

FixedWindow FixedWindow::For(const LinkModel& link) {
  const uint64_t size =
      std::max(kLeast, PagesIn(link, kGain * link.round_trip));
  const uint64_t request =
      std::clamp<uint64_t>(PagesIn(link, kRequestTime), 1, kLargestRequest);
  return FixedWindow(PageCount(size), PageCount(std::min(request, size / 4)));
}

FixedWindow FixedWindow::OneRequest() {
  return FixedWindow(PageCount(1), kUnbounded);
}

}  // namespace pagelift::bench
