#include "lib/prefetch/bulk_window.h"

#include <algorithm>
#include <cstdint>

namespace pagelift {
namespace {

constexpr double kGain = 1.5;
// Threads are woken on both sides, and that is not the link's time: a window
// for less than this would wait for them.
constexpr absl::Duration kShortest = absl::Microseconds(300);
// A round is no shorter, so that what it counts is more than a few messages.
constexpr absl::Duration kShortestRound = absl::Milliseconds(1);
constexpr size_t kRounds = 10;
// How long the least round trip is remembered, at least.
constexpr absl::Duration kRemembered = absl::Seconds(10);
// What is behind a request waits no longer than this, on the link.
constexpr absl::Duration kRequestTime = absl::Microseconds(200);
constexpr uint64_t kLargestRequest = 64;
// Demand is late if it takes so many times its least, and so much longer.
constexpr double kLateTimes = 1.5;
constexpr absl::Duration kLateBy = absl::Microseconds(500);
constexpr double kGiveWay = 0.7;
constexpr double kRecover = 0.1;
constexpr double kLeastShare = 0.3;

PageCount Clamped(double pages, PageCount least, PageCount most) {
  if (pages <= static_cast<double>(least.raw())) return least;
  if (pages >= static_cast<double>(most.raw())) return most;
  return PageCount(static_cast<uint64_t>(pages));
}

}  // namespace

void BulkWindow::Quickest::Add(Answer answer, absl::Duration now) {
  if (now - since_ > kRemembered) {
    before_ = now_;
    now_ = Answer();
    since_ = now;
  }
  if (answer.round_trip < now_.round_trip) now_ = answer;
}

const BulkWindow::Answer& BulkWindow::Quickest::Get() const {
  return now_.round_trip < before_.round_trip ? now_ : before_;
}

void BulkWindow::OnArrived(PageCount pages, absl::Duration round_trip,
                           absl::Duration now) {
  bulk_.Add({round_trip, pages}, now);
  const absl::Duration least = bulk_.Get().round_trip;
  // Nothing was asked for meanwhile: that says nothing of the link.
  const bool paused = now - last_arrival_ > 4 * std::max(least, kShortestRound);
  last_arrival_ = now;
  if (paused) {
    round_began_ = now;
    arrived_ = PageCount(0);
    return;
  }
  arrived_ = arrived_ + pages;
  const absl::Duration length = now - round_began_;
  if (length < std::max(least, kShortestRound)) return;
  EndRound(length);
  round_began_ = now;
  arrived_ = PageCount(0);
}

void BulkWindow::EndRound(absl::Duration length) {
  rates_.push_back(static_cast<double>(arrived_.raw()) /
                   absl::ToDoubleSeconds(length));
  if (rates_.size() > kRounds) rates_.pop_front();
  share_ = demand_was_late_ ? std::max(kLeastShare, share_ * kGiveWay)
                            : std::min(1.0, share_ + kRecover);
  demand_was_late_ = false;
  const double rate = *std::max_element(rates_.begin(), rates_.end());
  // On a slow link most of it was the answer's own length.
  const Answer& quickest = bulk_.Get();
  const absl::Duration round_trip = std::max(
      kShortest,
      quickest.round_trip -
          absl::Seconds(static_cast<double>(quickest.pages.raw()) / rate));
  size_ = Clamped(share_ * kGain * rate * absl::ToDoubleSeconds(round_trip),
                  kLeast, kMost);
  // Several at a time, so that the next is there when one is answered.
  const PageCount quarter(size_.raw() / 4);
  request_ =
      std::min(quarter, Clamped(rate * absl::ToDoubleSeconds(kRequestTime),
                                PageCount(1), PageCount(kLargestRequest)));
}

void BulkWindow::OnDemand(absl::Duration round_trip, absl::Duration now) {
  demand_.Add({round_trip, PageCount(1)}, now);
  const absl::Duration least = demand_.Get().round_trip;
  if (round_trip > kLateTimes * least && round_trip > least + kLateBy) {
    demand_was_late_ = true;
  }
}

}  // namespace pagelift
