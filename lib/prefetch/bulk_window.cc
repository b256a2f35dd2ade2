#include "lib/prefetch/bulk_window.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace pagelift {
namespace {

// So many round trips, and so much longer if the link is so fast: there it is
// threads that are late, and a message that is dear. On a slower one it is so
// much shorter, and the line with it.
constexpr double kRoundTrips = 1.5;
constexpr absl::Duration kLateThreads = absl::Milliseconds(4);
constexpr double kFastRate = 100'000;  // 400 MB a second, in pages.
// Else a window that was right without compression leaves the link idle while
// pages are compressed, and it looks as if that gained nothing.
constexpr absl::Duration kCompressing = absl::Milliseconds(2);
// A round is no shorter, so that a burst is not taken for a rate.
constexpr absl::Duration kShortestRound = absl::Milliseconds(4);
constexpr absl::Duration kRemembered = absl::Seconds(10);
constexpr uint64_t kLargestRequest = 64;
// Demand is late if it takes so many times its least, and so much longer.
constexpr double kLateTimes = 1.5;
constexpr absl::Duration kLateBy = absl::Microseconds(500);
constexpr double kGiveWay = 0.8;
constexpr double kRecover = 0.1;
constexpr double kLeastShare = 0.5;

PageCount Clamped(double pages, PageCount least, PageCount most) {
  if (pages <= static_cast<double>(least.raw())) return least;
  if (pages >= static_cast<double>(most.raw())) return most;
  return PageCount(static_cast<uint64_t>(pages));
}

}  // namespace

void BulkWindow::Improve(Answer& best, Answer answer) {
  if (answer.round_trip < best.round_trip) best = answer;
}

void BulkWindow::Renew(absl::Duration now) {
  if (now - best_since_ <= kRemembered) return;
  before_ = std::exchange(best_, Best());
  best_since_ = now;
}

BulkWindow::Best BulkWindow::Lately() const {
  Best best = best_;
  Improve(best.bulk, before_.bulk);
  Improve(best.demand, before_.demand);
  best.rate = std::max(best.rate, before_.rate);
  return best;
}

void BulkWindow::OnArrived(PageCount pages, absl::Duration round_trip,
                           absl::Duration now, bool compressed) {
  compressed_ = compressed;
  Renew(now);
  Improve(best_.bulk, {round_trip, pages});
  const absl::Duration shortest =
      std::max(Lately().bulk.round_trip, kShortestRound);
  // Nothing was asked for meanwhile: that says nothing of the link.
  const bool paused = now - last_arrival_ > 4 * shortest;
  last_arrival_ = now;
  if (paused) {
    round_began_ = now;
    arrived_ = PageCount(0);
    return;
  }
  arrived_ = arrived_ + pages;
  const absl::Duration length = now - round_began_;
  if (length < shortest) return;
  EndRound(length);
  round_began_ = now;
  arrived_ = PageCount(0);
}

void BulkWindow::EndRound(absl::Duration length) {
  best_.rate = std::max(best_.rate, static_cast<double>(arrived_.raw()) /
                                        absl::ToDoubleSeconds(length));
  share_ = demand_was_late_ ? std::max(kLeastShare, share_ * kGiveWay)
                            : std::min(1.0, share_ + kRecover);
  demand_was_late_ = false;
  const Best best = Lately();
  // On a slow link most of it was the answer's own length.
  const absl::Duration round_trip =
      std::max(absl::ZeroDuration(),
               best.bulk.round_trip -
                   absl::Seconds(static_cast<double>(best.bulk.pages.raw()) /
                                 best.rate));
  size_ = Clamped(share_ * best.rate *
                      absl::ToDoubleSeconds(
                          kRoundTrips * round_trip +
                          kLateThreads * std::min(1.0, best.rate / kFastRate) +
                          (compressed_ ? kCompressing : absl::ZeroDuration())),
                  kLeast, kMost);
  // Several at a time, so that the next is there when one is answered.
  request_ = PageCount(std::min(kLargestRequest, size_.raw() / 4));
}

void BulkWindow::OnDemand(absl::Duration round_trip, absl::Duration now) {
  Renew(now);
  Improve(best_.demand, {round_trip, PageCount(1)});
  const absl::Duration least = Lately().demand.round_trip;
  if (round_trip > kLateTimes * least && round_trip > least + kLateBy) {
    demand_was_late_ = true;
  }
}

}  // namespace pagelift
