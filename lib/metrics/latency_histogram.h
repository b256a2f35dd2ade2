#ifndef PAGELIFT_LIB_METRICS_LATENCY_HISTOGRAM_H_
#define PAGELIFT_LIB_METRICS_LATENCY_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace pagelift {

// Counts durations in buckets that are at most 1/16 of their value wide, from
// 1 ns to over an hour, in 4 KiB of memory.
//
// Thread-safe; recording is two relaxed increments.
class LatencyHistogram {
 public:
  void Record(absl::Duration latency);

  struct Summary {
    uint64_t count = 0;
    absl::Duration p50, p90, p99, p999, max;
  };
  // Quantiles are upper bounds of the buckets they fall into.
  Summary Summarize() const;

 private:
  static constexpr int kSubBits = 4;  // 16 buckets for each power of two.
  static constexpr size_t kBuckets = 42 << kSubBits;

  static size_t BucketOf(uint64_t ns);
  static uint64_t LimitOf(size_t bucket);

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> max_ns_{0};
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_METRICS_LATENCY_HISTOGRAM_H_
