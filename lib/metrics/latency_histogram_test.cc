#include "lib/metrics/latency_histogram.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(LatencyHistogramTest, IsEmptyAtFirst) {
  LatencyHistogram histogram;
  LatencyHistogram::Summary summary = histogram.Summarize();
  EXPECT_EQ(summary.count, 0u);
  EXPECT_EQ(summary.p99, absl::ZeroDuration());
}

TEST(LatencyHistogramTest, QuantilesAreWithinASixteenth) {
  LatencyHistogram histogram;
  for (int us = 1; us <= 10000; ++us) histogram.Record(absl::Microseconds(us));
  LatencyHistogram::Summary summary = histogram.Summarize();
  EXPECT_EQ(summary.count, 10000u);
  EXPECT_GE(summary.p50, absl::Microseconds(5000));
  EXPECT_LE(summary.p50, absl::Microseconds(5000) * (17.0 / 16));
  EXPECT_GE(summary.p99, absl::Microseconds(9900));
  EXPECT_LE(summary.p99, absl::Microseconds(10000));
  EXPECT_EQ(summary.max, absl::Microseconds(10000));
}

TEST(LatencyHistogramTest, TakesAnyDuration) {
  LatencyHistogram histogram;
  histogram.Record(absl::Nanoseconds(-5));
  histogram.Record(absl::ZeroDuration());
  histogram.Record(absl::Hours(1000));
  LatencyHistogram::Summary summary = histogram.Summarize();
  EXPECT_EQ(summary.count, 3u);
  EXPECT_EQ(summary.max, absl::Hours(1000));
}

TEST(LatencyHistogramTest, EveryValueFallsIntoABucketThatHoldsIt) {
  for (uint64_t ns = 1; ns < (uint64_t{1} << 40); ns = ns * 5 / 4 + 1) {
    LatencyHistogram histogram;
    histogram.Record(absl::Nanoseconds(ns));
    histogram.Record(absl::Nanoseconds(ns) + absl::Hours(1));
    absl::Duration p50 = histogram.Summarize().p50;
    EXPECT_GE(p50, absl::Nanoseconds(ns));
    EXPECT_LE(p50, absl::Nanoseconds(ns) * (17.0 / 16) + absl::Nanoseconds(1));
  }
}

}  // namespace
}  // namespace pagelift
