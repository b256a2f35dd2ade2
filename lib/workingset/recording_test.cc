#include "lib/workingset/recording.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TEST(RecordingTest, PagesThatFollowEachOtherAreOneRun) {
  Recording recording;
  EXPECT_TRUE(recording.empty());
  EXPECT_TRUE(recording.Append(Pages(7, 2)));
  EXPECT_TRUE(recording.Append(Pages(9, 1)));
  EXPECT_TRUE(recording.Append(Pages(6, 1)));
  EXPECT_TRUE(recording.Append(Pages(100, 0)));
  EXPECT_THAT(recording.runs(), ElementsAre(Pages(7, 3), Pages(6, 1)));
  EXPECT_EQ(recording.page_count(), PageCount(4));
  EXPECT_FALSE(recording.empty());
}

TEST(RecordingTest, TakesAsManyPagesAsThereIsRoomFor) {
  Recording recording;
  const uint64_t most = Recording::kMostPages.raw();
  EXPECT_TRUE(recording.Append(Pages(0, most - 1)));
  EXPECT_FALSE(recording.Append(Pages(2 * most, 5)));
  EXPECT_EQ(recording.page_count(), Recording::kMostPages);
  EXPECT_EQ(recording.runs().back(), Pages(2 * most, 1));
  EXPECT_FALSE(recording.Append(Pages(3 * most, 1)));
}

TEST(RecordingTest, TakesNoMoreRunsThanFitAMessage) {
  Recording recording;
  for (uint64_t i = 0; i < Recording::kMostRuns; ++i) {
    ASSERT_TRUE(recording.Append(Pages(2 * i, 1)));
  }
  EXPECT_FALSE(recording.Append(Pages(2 * Recording::kMostRuns, 1)));
  EXPECT_THAT(recording.runs(), SizeIs(Recording::kMostRuns));
  EXPECT_TRUE(recording.Append(Pages(2 * Recording::kMostRuns - 1, 1)))
      << "the last run may grow";
}

}  // namespace
}  // namespace pagelift
