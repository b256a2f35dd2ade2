#include "lib/metrics/latency_histogram.h"

#include <algorithm>

namespace pagelift {

size_t LatencyHistogram::BucketOf(uint64_t ns) {
  constexpr uint64_t kLinear = uint64_t{1} << kSubBits;
  if (ns < kLinear) return ns;
  const int exponent = 63 - __builtin_clzll(ns) - kSubBits;
  const size_t bucket =
      (static_cast<size_t>(exponent) << kSubBits) + (ns >> exponent);
  return std::min(bucket, kBuckets - 1);
}

uint64_t LatencyHistogram::LimitOf(size_t bucket) {
  constexpr uint64_t kLinear = uint64_t{1} << kSubBits;
  if (bucket < kLinear) return bucket;
  const int exponent = static_cast<int>(bucket >> kSubBits) - 1;
  const uint64_t mantissa = kLinear + (bucket & (kLinear - 1));
  return ((mantissa + 1) << exponent) - 1;
}

void LatencyHistogram::Record(absl::Duration latency) {
  const uint64_t ns = static_cast<uint64_t>(
      std::max<int64_t>(0, absl::ToInt64Nanoseconds(latency)));
  buckets_[BucketOf(ns)].fetch_add(1, std::memory_order_relaxed);
  uint64_t max = max_ns_.load(std::memory_order_relaxed);
  while (ns > max &&
         !max_ns_.compare_exchange_weak(max, ns, std::memory_order_relaxed)) {
  }
}

LatencyHistogram::Summary LatencyHistogram::Summarize() const {
  std::array<uint64_t, kBuckets> counts;
  Summary summary;
  for (size_t i = 0; i < kBuckets; ++i) {
    counts[i] = buckets_[i].load(std::memory_order_relaxed);
    summary.count += counts[i];
  }
  const uint64_t max = max_ns_.load(std::memory_order_relaxed);
  summary.max = absl::Nanoseconds(max);
  auto quantile = [&](double q) {
    const double rank = q * static_cast<double>(summary.count);
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts[i];
      if (seen > 0 && static_cast<double>(seen) >= rank) {
        return absl::Nanoseconds(std::min(LimitOf(i), max));
      }
    }
    return summary.max;
  };
  summary.p50 = quantile(0.5);
  summary.p90 = quantile(0.9);
  summary.p99 = quantile(0.99);
  summary.p999 = quantile(0.999);
  return summary;
}

}  // namespace pagelift
