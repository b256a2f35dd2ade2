#ifndef PAGELIFT_TESTS_LINKS_BOTTLENECK_H_
#define PAGELIFT_TESTS_LINKS_BOTTLENECK_H_

#include <cstddef>
#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace pagelift::links {

// One direction of a link: everything that enters stands in one line, whatever
// connection it belongs to, leaves at the link's rate, and arrives some time
// later. So bulk delays demand, as it does on a real link.
//
// Pure: it is told the time, by one monotonic clock. Thread-compatible.
class Bottleneck {
 public:
  struct Options {
    double bytes_per_second = 0;  // 0: no limit.
    absl::Duration delay;
    // What enters is late by up to this, at random.
    absl::Duration jitter;
    // Nothing leaves for `stall`, again and again, `stall_every` after the last
    // time it began; zero: never.
    absl::Duration stall_every;
    absl::Duration stall;
    // How long the line may get.
    size_t line_bytes = 256 << 10;
    uint64_t seed = 1;
  };

  Bottleneck(const Options& options, absl::Duration now)
      : options_(options), began_(now), free_at_(now), random_(options.seed) {}

  // When there is room for more; `now` if there is.
  absl::Duration RoomAt(absl::Duration now) const;

  // When the last of `bytes` arrives. REQUIRES: RoomAt(now) <= now.
  absl::Duration Enter(size_t bytes, absl::Duration now);

 private:
  // The first moment at or after `time` at which something may leave.
  absl::Duration AfterStall(absl::Duration time) const;

  const Options options_;
  const absl::Duration began_;
  absl::Duration free_at_;  // When the line is empty.
  std::mt19937_64 random_;
};

}  // namespace pagelift::links

#endif  // PAGELIFT_TESTS_LINKS_BOTTLENECK_H_
