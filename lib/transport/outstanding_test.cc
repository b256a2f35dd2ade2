#include "lib/transport/outstanding.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

constexpr absl::Duration kNow = absl::Seconds(1000);

TEST(OutstandingTest, ARequestEndsWhenItsLastPageIsTaken) {
  Outstanding outstanding;
  uint64_t id = outstanding.Add(Pages(10, 8)).id;
  EXPECT_OK(outstanding.Take(id, Pages(12, 2), kNow));  // Out of order.
  EXPECT_OK(outstanding.Take(id, Pages(10, 2), kNow));
  EXPECT_FALSE(outstanding.empty());
  EXPECT_OK(outstanding.Take(id, Pages(14, 4), kNow));
  EXPECT_TRUE(outstanding.empty());
}

TEST(OutstandingTest, RefusesWhatWasNotAskedFor) {
  Outstanding outstanding;
  uint64_t id = outstanding.Add(Pages(10, 8)).id;
  EXPECT_FALSE(outstanding.Take(id + 1, Pages(10, 1), kNow).ok());
  EXPECT_FALSE(outstanding.Take(id, Pages(9, 2), kNow).ok());
  EXPECT_FALSE(outstanding.Take(id, Pages(17, 2), kNow).ok());
}

TEST(OutstandingTest, RefusesAPageThatCameBefore) {
  Outstanding outstanding;
  uint64_t id = outstanding.Add(Pages(10, 8)).id;
  EXPECT_OK(outstanding.Take(id, Pages(12, 2), kNow));
  EXPECT_FALSE(outstanding.Take(id, Pages(13, 1), kNow).ok());
  EXPECT_FALSE(outstanding.Take(id, Pages(10, 8), kNow).ok());
}

TEST(OutstandingTest, KnowsWhenAPageThatIsLeftWasSent) {
  Outstanding outstanding;
  const uint64_t first = outstanding.Add(Pages(10, 8)).id;
  const uint64_t second = outstanding.Add(Pages(40, 1)).id;
  EXPECT_EQ(outstanding.SentAt(ImagePage(12)), absl::InfiniteDuration());
  outstanding.MarkSent(first, kNow);
  outstanding.MarkSent(second, kNow + absl::Seconds(1));
  EXPECT_EQ(outstanding.SentAt(ImagePage(12)), kNow);
  EXPECT_EQ(outstanding.SentAt(ImagePage(40)), kNow + absl::Seconds(1));
  EXPECT_EQ(outstanding.SentAt(ImagePage(18)), absl::InfiniteDuration());
  EXPECT_OK(outstanding.Take(first, Pages(12, 2), kNow));
  EXPECT_EQ(outstanding.SentAt(ImagePage(12)), absl::InfiniteDuration());
  EXPECT_EQ(outstanding.SentAt(ImagePage(14)), kNow);
}

TEST(OutstandingTest, RenewsWhatIsLeftUnderNewIds) {
  Outstanding outstanding;
  uint64_t first = outstanding.Add(Pages(10, 8)).id;
  outstanding.Add(Pages(40, 1), 3);
  EXPECT_OK(outstanding.Take(first, Pages(12, 2), kNow));
  std::vector<Outstanding::Request> renewed = outstanding.Renew();
  ASSERT_EQ(renewed.size(), 3u);
  EXPECT_EQ(renewed[0].range, Pages(10, 2));
  EXPECT_EQ(renewed[1].range, Pages(14, 4));
  EXPECT_EQ(renewed[2].range, Pages(40, 1));
  EXPECT_EQ(renewed[2].attempt, 3);
  // An answer to the old request comes too late.
  EXPECT_FALSE(outstanding.Take(first, Pages(10, 1), kNow).ok());
  ASSERT_OK_AND_ASSIGN(Outstanding::Taken taken,
                       outstanding.Take(renewed[2].id, Pages(40, 1), kNow));
  EXPECT_EQ(taken.attempt, 3);
}

TEST(OutstandingTest, TellsWhenARequestWasSentHoweverOftenItIsAnswered) {
  Outstanding outstanding;
  const uint64_t id = outstanding.Add(Pages(10, 8)).id;
  outstanding.MarkSent(id, kNow);
  for (uint64_t page : {10, 12, 11}) {
    ASSERT_OK_AND_ASSIGN(
        Outstanding::Taken taken,
        outstanding.Take(id, Pages(page, 1), kNow + absl::Seconds(page)));
    EXPECT_EQ(taken.sent, kNow);
  }
}

TEST(OutstandingTest, TellsSinceWhenTheServerHasBeenSilent) {
  Outstanding outstanding;
  const uint64_t first = outstanding.Add(Pages(10, 8)).id;
  const uint64_t second = outstanding.Add(Pages(40, 1)).id;
  // The server knows nothing of them.
  EXPECT_EQ(outstanding.WaitingSince(), absl::InfiniteDuration());
  outstanding.MarkSent(first, kNow);
  outstanding.MarkSent(second, kNow + absl::Seconds(1));
  EXPECT_EQ(outstanding.WaitingSince(), kNow);
  EXPECT_OK(outstanding.Take(first, Pages(10, 1), kNow + absl::Seconds(5)));
  EXPECT_EQ(outstanding.WaitingSince(), kNow + absl::Seconds(1));
  EXPECT_EQ(outstanding.last_progress(), kNow + absl::Seconds(5));
  EXPECT_OK(outstanding.Take(second, Pages(40, 1), kNow + absl::Seconds(6)));
  EXPECT_EQ(outstanding.WaitingSince(), kNow + absl::Seconds(5));
  EXPECT_EQ(outstanding.last_progress(), kNow + absl::Seconds(6));
  outstanding.Renew();
  EXPECT_EQ(outstanding.WaitingSince(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace pagelift
