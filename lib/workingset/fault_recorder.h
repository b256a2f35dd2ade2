#ifndef PAGELIFT_LIB_WORKINGSET_FAULT_RECORDER_H_
#define PAGELIFT_LIB_WORKINGSET_FAULT_RECORDER_H_

#include <array>
#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"

namespace pagelift {

// Makes a recording of the faults of a restore, until the target has settled:
// until, over a second, new faults are rarer than a hundredth of what they were
// in the busiest tenth of a second, or the recording is full, or nothing was
// touched for ten seconds from the beginning.
//
// Pure: it is told the time, by MonotonicNow(), and never asks for it.
// Thread-compatible.
class FaultRecorder {
 public:
  // For an image of so many pages. Takes some milliseconds if those are many.
  explicit FaultRecorder(PageCount image_pages);

  // The target runs. What it touched before is not recorded.
  void Start(absl::Duration now);

  // A page was touched. Counts if it is new and the target has not settled.
  void OnFault(ImagePage page, absl::Duration now);

  // To be asked now and then, once it was started: whether the target has
  // settled. `waiting`: a
  // thread of it waits for a page at this moment; a target that has to wait is
  // not at rest, so the second begins anew.
  bool CheckSettled(absl::Duration now, bool waiting);

  // Once true, true for ever.
  bool settled() const { return settled_; }

  // What was recorded; nothing is recorded from then on. Settled or not.
  Recording Take();

 private:
  // Tenths of a second: the last ten, and the one that is not over.
  static constexpr int kWindows = 11;

  // Makes `now` lie in the current window.
  void Advance(absl::Duration now);
  void Settle();

  absl::Duration start_ = absl::InfiniteDuration();
  Recording recording_;
  absl::flat_hash_set<ImagePage> seen_;
  bool settled_ = false;

  // New faults of the last windows; that of window w is at w % kWindows.
  std::array<uint64_t, kWindows> counts_ = {};
  int64_t window_ = 0;  // The current one, counted from start_.
  uint64_t peak_ = 0;   // The most of any window.
  // Since when no thread was seen waiting; the first fault at the earliest.
  absl::Duration at_rest_since_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_FAULT_RECORDER_H_
