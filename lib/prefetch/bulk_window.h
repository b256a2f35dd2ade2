#ifndef PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_
#define PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_

#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift {

// How many prefetched pages may be on their way: enough to keep the link busy,
// and not so many that a page which somebody waits for stands in line behind
// them.
//
// That is what the link delivers in one and a half round trips, and in the time
// for which threads may be late: up to four milliseconds, in proportion to the
// rate, because where that is low the link is the limit and not they; and for
// which both ends compress and decompress, if they do. As the
// window is always more than what was delivered, it grows by itself until the
// link is the limit; what is more than a round trip's worth is how long the
// line is from then on. When demand takes much longer than it can, the window
// gives way, down to a half.
//
// The rate is the greatest seen lately, not the latest: where processors are
// the limit, a smaller window makes for a lower rate, and that must not make
// for a smaller window.
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
  void OnArrived(PageCount pages, absl::Duration round_trip, absl::Duration now,
                 bool compressed = false);
  // So has a page that somebody waits for.
  void OnDemand(absl::Duration round_trip, absl::Duration now);

 private:
  struct Answer {
    absl::Duration round_trip = absl::InfiniteDuration();
    PageCount pages;
  };
  // What was best lately: of ten to twenty seconds.
  struct Best {
    Answer bulk;
    Answer demand;
    double rate = 0;  // In pages a second.
  };

  // Of `answer`, where shorter is better.
  static void Improve(Answer& best, Answer answer);
  void Renew(absl::Duration now);

  Best Lately() const;
  void EndRound(absl::Duration length);

  PageCount size_;
  PageCount request_{64};
  Best best_;
  Best before_;
  absl::Duration best_since_ = -absl::InfiniteDuration();
  // The round that is being measured: since when, and what has arrived.
  absl::Duration round_began_ = -absl::InfiniteDuration();
  absl::Duration last_arrival_ = -absl::InfiniteDuration();
  bool compressed_ = false;  // The latest pages that arrived.
  PageCount arrived_;
  // What demand leaves of the window, and whether it was late in this round.
  double share_ = 1;
  bool demand_was_late_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_BULK_WINDOW_H_
