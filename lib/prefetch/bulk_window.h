#ifndef PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_
#define PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_

#include <deque>

#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift {

// How many prefetched pages may be on their way: enough to keep the link busy,
// and not so many that a page which somebody waits for stands in line behind
// them.
//
// That is one and a half times what the link delivers in a round trip. As the
// window is always more than what was delivered, it grows by itself until the
// link is the limit; from then on half a round trip's worth is queued. When
// demand takes much longer than it can, the window gives way.
//
// Pure: it is told the time, by one monotonic clock. Thread-compatible.
class BulkWindow {
 public:
  static constexpr PageCount kFirst{128};  // 512 KiB.
  static constexpr PageCount kLeast{16};   // 64 KiB.
  static constexpr PageCount kMost{4096};  // 16 MiB.

  // `first`: its size until the link is known.
  explicit BulkWindow(PageCount first = kFirst) : size_(first) {}

  // How many pages may be asked for and not answered.
  PageCount size() const { return size_; }
  // How many to ask for in one request: 1 to 64.
  PageCount request() const { return request_; }

  // Prefetched pages have arrived, `round_trip` after they were asked for.
  void OnArrived(PageCount pages, absl::Duration round_trip,
                 absl::Duration now);
  // So has a page that somebody waits for.
  void OnDemand(absl::Duration round_trip, absl::Duration now);

 private:
  struct Answer {
    absl::Duration round_trip = absl::InfiniteDuration();
    PageCount pages;
  };
  // The quickest answer seen lately: what it takes without a line.
  class Quickest {
   public:
    void Add(Answer answer, absl::Duration now);
    const Answer& Get() const;

   private:
    Answer now_;
    Answer before_;
    absl::Duration since_ = -absl::InfiniteDuration();
  };

  void EndRound(absl::Duration length);

  PageCount size_;
  PageCount request_{64};
  Quickest bulk_;
  Quickest demand_;
  // The round that is being measured: since when, and what has arrived.
  absl::Duration round_began_ = -absl::InfiniteDuration();
  absl::Duration last_arrival_ = -absl::InfiniteDuration();
  PageCount arrived_;
  std::deque<double> rates_;  // Of the latest rounds, in pages a second.
  // What demand leaves of the window, and whether it was late in this round.
  double share_ = 1;
  bool demand_was_late_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_
