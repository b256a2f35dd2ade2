#ifndef PAGELIFT_LIB_TRANSPORT_COMPRESSION_CHOICE_H_
#define PAGELIFT_LIB_TRANSPORT_COMPRESSION_CHOICE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift {

enum class Compression {
  kNever,
  kAuto,    // As CompressionChoice says.
  kAlways,  // What it makes shorter.
};

// "auto", "never" or "always".
absl::StatusOr<Compression> ParseCompression(absl::string_view text);

// Whether pages are to be compressed on their way: where they arrive slowly,
// and sooner so.
//
// Decided by trying. Rounds without come first; if fewer pages arrive than one
// processor could compress by far, rounds with compression follow, and it stays
// if more pages arrived for it. Where it does not, it is tried again after a
// while, later each time; where it does, a round without it is tried now and
// then, because links, and what pages hold, change.
//
// Pure: it is told the time, by one monotonic clock. Thread-compatible.
class CompressionChoice {
 public:
  // Whether what is asked for now may be compressed.
  bool compress() const {
    return state_ == State::kTrying || state_ == State::kUsing;
  }

  // Prefetched pages arrived that were asked for at `asked`.
  void OnArrived(PageCount pages, absl::Duration asked, absl::Duration now);
  // Nothing is under way: how long it takes until the next pages come says
  // nothing of the link.
  void OnIdle();

 private:
  enum class State {
    kRaw,      // Not compressed; is it slow?
    kTrying,   // Compressed; is it faster?
    kUsing,    // It is.
    kProbing,  // Not compressed for a round; is it still slower?
  };

  // At the end of a round in which so many pages arrived in a second.
  void Decide(double rate, absl::Duration now);
  // After a round of that rate begins or ends compressing.
  void Change(State state, double rate, absl::Duration now);

  State state_ = State::kRaw;
  // When compress() last changed, and what the rate was before. What was asked
  // for before says nothing of how it is now.
  absl::Duration changed_ = -absl::InfiniteDuration();
  double rate_before_ = 0;
  absl::Duration not_before_;  // When it is tried, or probed, next.
  absl::Duration pause_;
  // The round; infinite: it begins with what arrives next.
  absl::Duration began_ = absl::InfiniteDuration();
  PageCount arrived_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_COMPRESSION_CHOICE_H_
