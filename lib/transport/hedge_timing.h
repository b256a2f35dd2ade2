#ifndef PAGELIFT_LIB_TRANSPORT_HEDGE_TIMING_H_
#define PAGELIFT_LIB_TRANSPORT_HEDGE_TIMING_H_

#include <array>
#include <cstddef>

#include "absl/time/time.h"

namespace pagelift {

// When a demand is late enough to be asked of a second replica, and how many
// may be: after the 95th percentile of what they took lately, so one in twenty
// by definition, and no more than one in ten when all become slow together.
//
// Thread-compatible.
class HedgeTiming {
 public:
  static constexpr absl::Duration kSoonest = absl::Milliseconds(1);
  static constexpr absl::Duration kLatest = absl::Milliseconds(250);
  // Until enough is known.
  static constexpr absl::Duration kAtFirst = absl::Milliseconds(50);

  // A demand was made.
  void NoteDemand();
  // One was answered, so long after it was sent.
  void NoteRoundTrip(absl::Duration round_trip);

  absl::Duration late_after() const { return late_after_; }
  // How many may be hedged now.
  size_t budget() const { return tenths_ / 10; }
  void NoteHedges(size_t count) { tenths_ -= 10 * count; }

 private:
  static constexpr size_t kRemembered = 128;
  static constexpr size_t kMostSaved = 10;

  std::array<absl::Duration, kRemembered> round_trips_;
  size_t seen_ = 0;
  absl::Duration late_after_ = kAtFirst;
  size_t tenths_ = 10 * kMostSaved;  // Of a hedge.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_HEDGE_TIMING_H_
