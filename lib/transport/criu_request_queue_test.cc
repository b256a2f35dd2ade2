#include "lib/transport/criu_request_queue.h"

#include <ostream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {

std::ostream& operator<<(std::ostream& out, const CriuPages& pages) {
  return out << pages.pid << " " << pages.pages;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr uint64_t kMost = CriuRequestQueue::kMostPages.raw();
constexpr uint64_t kWindow = CriuRequestQueue::kPrefetchWindow.raw();

CriuPages Pages(uint64_t first, uint64_t count) {
  return {5, {PageId(first), PageCount(count)}};
}

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TEST(CriuRequestQueueTest, SendsOnceWhatWasAdded) {
  CriuRequestQueue queue;
  EXPECT_EQ(queue.Send(), std::nullopt);
  queue.Add(Pages(100, 3), ImagePage(0), Urgency::kDemand);
  EXPECT_TRUE(queue.nothing_on_wire());
  EXPECT_THAT(queue.Send(), Optional(Pages(100, 3)));
  EXPECT_FALSE(queue.nothing_on_wire());
  EXPECT_EQ(queue.Send(), std::nullopt);
}

TEST(CriuRequestQueueTest, RepliesAreMatchedInOrder) {
  CriuRequestQueue queue;
  queue.Add(Pages(100, 3), ImagePage(0), Urgency::kDemand);
  queue.Add(Pages(200, 1), ImagePage(9), Urgency::kDemand);
  queue.Send();
  queue.Send();
  EXPECT_THAT(queue.Take(Pages(200, 1)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(queue.Take(Pages(100, 3)), IsOkAndHolds(Image(0, 3)));
  EXPECT_THAT(queue.Take(Pages(200, 1)), IsOkAndHolds(Image(9, 1)));
  EXPECT_TRUE(queue.nothing_on_wire());
}

TEST(CriuRequestQueueTest, RefusesRepliesThatNobodyAskedFor) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  CriuRequestQueue queue;
  EXPECT_THAT(queue.Take(Pages(100, 3)), refused);
  queue.Add(Pages(100, 3), ImagePage(0), Urgency::kDemand);
  EXPECT_THAT(queue.Take(Pages(100, 3)), refused);  // Not sent.
  queue.Send();
  EXPECT_THAT(queue.Take(Pages(100, 4)), refused);
  EXPECT_THAT(queue.Take(Pages(101, 1)), refused);
  EXPECT_THAT(queue.Take(Pages(100, 0)), refused);
  EXPECT_THAT(queue.Take({6, {PageId(100), PageCount(3)}}), refused);
  EXPECT_THAT(queue.Take(Pages(100, 3)), IsOk());
}

TEST(CriuRequestQueueTest, TheRestOfAShortReplyIsAskedNext) {
  CriuRequestQueue queue;
  queue.Add(Pages(100, 3), ImagePage(0), Urgency::kPrefetch);
  queue.Add(Pages(200, 1), ImagePage(9), Urgency::kPrefetch);
  queue.Send();
  EXPECT_THAT(queue.Take(Pages(100, 1)), IsOkAndHolds(Image(0, 1)));
  EXPECT_THAT(queue.Send(), Optional(Pages(101, 2)));
  EXPECT_THAT(queue.Send(), Optional(Pages(200, 1)));
  EXPECT_THAT(queue.Take(Pages(101, 2)), IsOkAndHolds(Image(1, 2)));
}

TEST(CriuRequestQueueTest, PrefetchIsCutAndBoundedByTheWindow) {
  CriuRequestQueue queue;
  queue.Add(Pages(0, 2 * kWindow), ImagePage(0), Urgency::kPrefetch);
  uint64_t sent = 0;
  while (std::optional<CriuPages> pages = queue.Send()) {
    EXPECT_EQ(*pages, Pages(sent, kMost));
    sent += kMost;
  }
  EXPECT_EQ(sent, kWindow);
  ASSERT_THAT(queue.Take(Pages(0, kMost)), IsOk());
  EXPECT_THAT(queue.Send(), Optional(Pages(sent, kMost)));
  EXPECT_EQ(queue.Send(), std::nullopt);
}

TEST(CriuRequestQueueTest, AShortReplyFreesTheWindowOfItsWholeRequest) {
  CriuRequestQueue queue;
  queue.Add(Pages(0, kWindow), ImagePage(0), Urgency::kPrefetch);
  while (queue.Send().has_value()) continue;
  ASSERT_THAT(queue.Take(Pages(0, 1)), IsOk());
  EXPECT_THAT(queue.Send(), Optional(Pages(1, kMost - 1)));
}

TEST(CriuRequestQueueTest, DemandOvertakesPrefetchThatWaits) {
  CriuRequestQueue queue;
  queue.Add(Pages(0, 2 * kWindow), ImagePage(0), Urgency::kPrefetch);
  while (queue.Send().has_value()) continue;
  queue.Add(Pages(900, 1), ImagePage(900), Urgency::kDemand);
  EXPECT_THAT(queue.Send(), Optional(Pages(900, 1)));
}

TEST(CriuRequestQueueTest, DropWaitingKeepsWhatIsOnTheWire) {
  CriuRequestQueue queue;
  queue.Add(Pages(100, 1), ImagePage(0), Urgency::kDemand);
  queue.Send();
  queue.Add(Pages(200, 1), ImagePage(1), Urgency::kDemand);
  queue.Add(Pages(300, 1), ImagePage(2), Urgency::kPrefetch);
  queue.DropWaiting();
  EXPECT_EQ(queue.Send(), std::nullopt);
  EXPECT_THAT(queue.Take(Pages(100, 1)), IsOk());
}

TEST(CriuRequestQueueTest, DropAllNamesWhatIsNotAnswered) {
  CriuRequestQueue queue;
  queue.Add(Pages(100, 4), ImagePage(0), Urgency::kDemand);
  queue.Send();
  ASSERT_THAT(queue.Take(Pages(100, 1)), IsOk());
  queue.Send();
  queue.Add(Pages(200, 1), ImagePage(20), Urgency::kPrefetch);
  queue.Add(Pages(300, 1), ImagePage(30), Urgency::kDemand);
  EXPECT_THAT(queue.DropAll(),
              ElementsAre(Image(1, 3), Image(30, 1), Image(20, 1)));
  EXPECT_THAT(queue.DropAll(), IsEmpty());
  EXPECT_TRUE(queue.nothing_on_wire());
}

}  // namespace
}  // namespace pagelift
