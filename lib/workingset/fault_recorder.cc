#include "lib/workingset/fault_recorder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pagelift {
namespace {

constexpr absl::Duration kWindow = absl::Milliseconds(100);
constexpr absl::Duration kRest = absl::Seconds(1);
constexpr absl::Duration kPatience = absl::Seconds(10);
// The rate at rest is less than the peak's divided by this.
constexpr uint64_t kFall = 100;

}  // namespace

FaultRecorder::FaultRecorder(PageCount image_pages) {
  // Growing what is large takes milliseconds, in which a thread would wait.
  const PageCount most = std::min(image_pages, Recording::kMostPages);
  seen_.reserve(most.raw());
  recording_.Reserve(most);
}

void FaultRecorder::Start(absl::Duration now) {
  start_ = now;
  at_rest_since_ = now;
}

void FaultRecorder::OnFault(ImagePage page, absl::Duration now) {
  const bool started = start_ != absl::InfiniteDuration();
  if (!started || settled_ || !seen_.insert(page).second) return;
  if (recording_.empty()) at_rest_since_ = now;
  if (!recording_.Append({page, PageCount(1)}) ||
      recording_.page_count() == Recording::kMostPages) {
    return Settle();
  }
  Advance(now);
  uint64_t& count = counts_[window_ % kWindows];
  peak_ = std::max(peak_, ++count);
}

bool FaultRecorder::CheckSettled(absl::Duration now, bool waiting) {
  if (settled_) return true;
  Advance(now);
  if (waiting) at_rest_since_ = std::max(at_rest_since_, now);
  if (recording_.empty()) {
    if (now - at_rest_since_ >= kPatience) Settle();
  } else if (now - at_rest_since_ >= kRest) {
    // In a second, at least; the peak is of one window.
    const uint64_t latest =
        std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
    if (latest * kFall < peak_ * (kRest / kWindow)) Settle();
  }
  return settled_;
}

Recording FaultRecorder::Take() {
  Settle();
  return std::exchange(recording_, Recording());
}

void FaultRecorder::Settle() {
  settled_ = true;
  seen_ = {};
}

void FaultRecorder::Advance(absl::Duration now) {
  const int64_t window = (now - start_) / kWindow;
  for (int passed = 0; window_ < window && passed < kWindows; ++passed) {
    counts_[++window_ % kWindows] = 0;
  }
  window_ = std::max(window_, window);
}

}  // namespace pagelift
