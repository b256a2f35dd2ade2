#include "lib/transport/hedge_timing.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(HedgeTimingTest, ADemandIsLateAfterThe95thPercentile) {
  HedgeTiming timing;
  EXPECT_EQ(timing.late_after(), HedgeTiming::kAtFirst);
  for (int i = 1; i <= 112; ++i) {
    timing.NoteRoundTrip(absl::Milliseconds(i));
  }
  EXPECT_EQ(timing.late_after(), absl::Milliseconds(107));
}

TEST(HedgeTimingTest, OnlyTheLatestCount) {
  HedgeTiming timing;
  for (int i = 0; i < 128; ++i) timing.NoteRoundTrip(absl::Milliseconds(90));
  for (int i = 0; i < 112; ++i) timing.NoteRoundTrip(absl::Milliseconds(2));
  // 16 of 128 are more than a twentieth.
  EXPECT_EQ(timing.late_after(), absl::Milliseconds(90));
  for (int i = 0; i < 16; ++i) timing.NoteRoundTrip(absl::Milliseconds(2));
  EXPECT_EQ(timing.late_after(), absl::Milliseconds(2));
}

TEST(HedgeTimingTest, ItIsNeverTooSoonOrTooLate) {
  HedgeTiming timing;
  for (int i = 0; i < 128; ++i) timing.NoteRoundTrip(absl::Microseconds(80));
  EXPECT_EQ(timing.late_after(), HedgeTiming::kSoonest);
  for (int i = 0; i < 128; ++i) timing.NoteRoundTrip(absl::Seconds(3));
  EXPECT_EQ(timing.late_after(), HedgeTiming::kLatest);
}

TEST(HedgeTimingTest, TenDemandsEarnAHedge) {
  HedgeTiming timing;
  EXPECT_EQ(timing.budget(), 10u);
  timing.NoteHedges(10);
  EXPECT_EQ(timing.budget(), 0u);
  for (int i = 0; i < 19; ++i) timing.NoteDemand();
  EXPECT_EQ(timing.budget(), 1u);
  for (int i = 0; i < 1000; ++i) timing.NoteDemand();
  EXPECT_EQ(timing.budget(), 10u);
}

}  // namespace
}  // namespace pagelift
