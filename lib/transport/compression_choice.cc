#include "lib/transport/compression_choice.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pagelift {
namespace {

// A round is so long, and of so many pages: several windows of a slow link.
constexpr absl::Duration kRound = absl::Milliseconds(60);
constexpr PageCount kRoundPages{256};
// 150 MB a second, in pages. A processor compresses 220 to 470; where as much
// arrives as it is, it is better used otherwise.
constexpr double kFast = 36'600;
// It has to gain as much as that.
constexpr double kGain = 1.1;
// Not more often than this, and for so small a part of the time.
constexpr absl::Duration kProbeEvery = absl::Seconds(5);
constexpr int kProbeShare = 20;
constexpr absl::Duration kFirstPause = absl::Seconds(2);
constexpr absl::Duration kLongestPause = absl::Seconds(64);

}  // namespace

absl::StatusOr<Compression> ParseCompression(absl::string_view text) {
  if (text == "auto") return Compression::kAuto;
  if (text == "never") return Compression::kNever;
  if (text == "always") return Compression::kAlways;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not auto, never or always"));
}

void CompressionChoice::Change(State state, double rate, absl::Duration now) {
  state_ = state;
  changed_ = now;
  rate_before_ = rate;
}

void CompressionChoice::OnIdle() { began_ = absl::InfiniteDuration(); }

void CompressionChoice::OnArrived(PageCount pages, absl::Duration asked,
                                  absl::Duration now) {
  if (asked < changed_) {
    OnIdle();
    return;
  }
  if (began_ == absl::InfiniteDuration()) {
    // When these began to arrive is not known.
    began_ = now;
    arrived_ = PageCount(0);
    return;
  }
  arrived_ = arrived_ + pages;
  const absl::Duration length = now - began_;
  if (length < kRound || arrived_ < kRoundPages) return;
  const double rate =
      static_cast<double>(arrived_.raw()) / absl::ToDoubleSeconds(length);
  began_ = now;
  arrived_ = PageCount(0);
  Decide(rate, now);
}

void CompressionChoice::Decide(double rate, absl::Duration now) {
  switch (state_) {
    case State::kRaw:
      if (rate < kFast && now >= not_before_) {
        Change(State::kTrying, rate, now);
      }
      return;
    case State::kTrying:
      if (rate > kGain * rate_before_) {
        pause_ = absl::ZeroDuration();
        not_before_ = now + kProbeEvery;
        state_ = State::kUsing;
      } else {
        pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
        not_before_ = now + pause_;
        Change(State::kRaw, rate, now);
      }
      return;
    case State::kUsing:
      if (now >= not_before_) Change(State::kProbing, rate, now);
      return;
    case State::kProbing:
      if (rate_before_ > kGain * rate) {
        not_before_ =
            now + std::max(kProbeEvery, kProbeShare * (now - changed_));
        Change(State::kUsing, rate, now);
      } else {
        not_before_ = now + kFirstPause;
        state_ = State::kRaw;
      }
      return;
  }
}

}  // namespace pagelift
