#include "lib/source/testing/fake_page_source.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/source/testing/recording_sink.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class FakePageSourceTest : public ::testing::Test {
 protected:
  FakePageSourceTest()
      : source_(OneTaskImage(7, {PageId(0x1000), PageCount(16)})) {
    source_.Start(&sink_);
  }

  RecordingSink sink_;
  FakePageSource source_;
};

TEST_F(FakePageSourceTest, AnswersAtOnceWithThePattern) {
  source_.Fetch(Image(5, 1), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_THAT(deliveries[0].bytes, HoldsPatternOf(5));
  EXPECT_EQ(source_.bytes_received(), kPageSize);
}

TEST_F(FakePageSourceTest, NoPatternIsZeroAndNoTwoAreEqual) {
  EXPECT_NE(PatternOf(ImagePage(0)), PageBytes{});
  EXPECT_NE(PatternOf(ImagePage(1)), PatternOf(ImagePage(2)));
}

TEST_F(FakePageSourceTest, HeldRepliesComeInTheOrderTheTestWants) {
  source_.HoldReplies();
  source_.Fetch(Image(0, 1), Urgency::kDemand);
  source_.Fetch(Image(1, 1), Urgency::kPrefetch);
  source_.Fetch(Image(2, 1), Urgency::kDemand);
  EXPECT_THAT(sink_.deliveries(), IsEmpty());
  EXPECT_EQ(source_.held(), 3u);
  EXPECT_TRUE(source_.ReleaseOldest());
  source_.ReleaseNewestFirst();
  EXPECT_FALSE(source_.ReleaseNewest());
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(3));
  EXPECT_EQ(deliveries[0].range, Image(0, 1));
  EXPECT_EQ(deliveries[1].range, Image(2, 1));
  EXPECT_EQ(deliveries[2].range, Image(1, 1));
  EXPECT_EQ(source_.requests()[1].urgency, Urgency::kPrefetch);
}

TEST_F(FakePageSourceTest, FailsFromThePageOnThatTheTestNames) {
  source_.FailFrom(ImagePage(2), absl::UnavailableError("cable cut"));
  source_.Fetch(Image(0, 4), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[0].range, Image(0, 2));
  EXPECT_EQ(deliveries[1].range, Image(2, 2));
  EXPECT_EQ(deliveries[1].status.message(), "cable cut");
  source_.FailFrom(ImagePage(0), absl::OkStatus());
  source_.Fetch(Image(2, 2), Urgency::kDemand);
  EXPECT_TRUE(sink_.deliveries()[2].status.ok());
}

TEST_F(FakePageSourceTest, BatchesAndPiecesAreCutAsTheTestSays) {
  source_.MakeZero(Image(3, 1));
  source_.LimitBatches(PageCount(2));
  source_.CutPiecesAt(1000);
  source_.Fetch(Image(0, 5), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(4));
  EXPECT_EQ(deliveries[0].range, Image(0, 2));
  EXPECT_TRUE(
      HoldsPattern(deliveries[0].bytes.data() + kPageSize, ImagePage(1)));
  EXPECT_EQ(deliveries[1].range, Image(2, 1));
  EXPECT_TRUE(deliveries[2].zero);
  EXPECT_EQ(deliveries[3].range, Image(4, 1));
}

TEST_F(FakePageSourceTest, StopDropsWhatIsHeld) {
  source_.HoldReplies();
  source_.Fetch(Image(0, 1), Urgency::kDemand);
  source_.Stop();
  source_.StopHolding();
  EXPECT_THAT(sink_.deliveries(), IsEmpty());
}

TEST_F(FakePageSourceTest, WaitingForRequestsEndsWhenTheyCame) {
  source_.Fetch(Image(0, 1), Urgency::kDemand);
  EXPECT_TRUE(source_.WaitForRequests(1, absl::Seconds(10)));
  EXPECT_FALSE(source_.WaitForRequests(2, absl::ZeroDuration()));
}

}  // namespace
}  // namespace pagelift
