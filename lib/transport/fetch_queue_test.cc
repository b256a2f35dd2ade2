#include "lib/transport/fetch_queue.h"

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/transport/testing/fetch_requests.h"

namespace pagelift {
namespace {

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

TEST(FetchQueueTest, AnswersInOrderPieceByPiece) {
  FetchQueue queue(PageCount(100));
  EXPECT_TRUE(queue.empty());
  ASSERT_OK(queue.Enter(Fetch(7, 0, 10)));
  ASSERT_OK(queue.Enter(Fetch(3, 90, 10)));
  EXPECT_EQ(queue.Next().id, 7u);
  EXPECT_TRUE(queue.Answered(queue.Next(), Pages(4, 6)));
  EXPECT_EQ(queue.Next().range, Pages(4, 6));
  EXPECT_TRUE(queue.Answered(queue.Next(), Pages(10, 0)));
  EXPECT_EQ(queue.Next().id, 3u);
  EXPECT_TRUE(queue.Answered(queue.Next(), Pages(100, 0)));
  EXPECT_TRUE(queue.empty());
}

TEST(FetchQueueTest, CancelledOnesAreAnsweredFirst) {
  FetchQueue queue(PageCount(100));
  ASSERT_OK(queue.Enter(Fetch(1, 0, 10)));
  ASSERT_OK(queue.Enter(Fetch(2, 10, 10)));
  ASSERT_OK(queue.Enter(Cancel(9)));
  EXPECT_EQ(queue.Next().id, 1u);
  ASSERT_OK(queue.Enter(Cancel(2)));
  EXPECT_EQ(queue.Next().id, 2u);
  EXPECT_TRUE(queue.Next().cancelled);
  EXPECT_TRUE(queue.Answered(queue.Next(), Pages(20, 0)));
  EXPECT_EQ(queue.Next().id, 1u);
}

TEST(FetchQueueTest, AnAnswerThatWasBeingMadeIsDroppedByACancel) {
  FetchQueue queue(PageCount(100));
  ASSERT_OK(queue.Enter(Fetch(1, 0, 10)));
  const FetchQueue::Turn turn = queue.Next();
  ASSERT_OK(queue.Enter(Cancel(1)));
  // The same id, another request.
  ASSERT_OK(queue.Enter(Fetch(1, 50, 1)));
  EXPECT_FALSE(queue.Answered(turn, Pages(5, 5)));
  EXPECT_EQ(queue.Next().range, Pages(0, 10));
  EXPECT_TRUE(queue.Answered(queue.Next(), Pages(10, 0)));
  EXPECT_EQ(queue.Next().range, Pages(50, 1));
}

TEST(FetchQueueTest, RefusesWhatBreaksTheRules) {
  FetchQueue queue(PageCount(100));
  v1::FetchRequest start;
  start.mutable_start();
  for (const v1::FetchRequest& bad :
       {Fetch(1, 0, 0), Fetch(1, 100, 1), Fetch(1, 99, 2), Fetch(1, 0, 262145),
        Fetch(1, ~uint64_t{0}, 2), Fetch(1, 1, ~uint64_t{0}), start,
        v1::FetchRequest()}) {
    EXPECT_THAT(queue.Enter(bad), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_TRUE(queue.empty());
}

TEST(FetchQueueTest, IsBounded) {
  FetchQueue queue(PageCount(100));
  for (uint64_t i = 0; i < 4096; ++i) ASSERT_OK(queue.Enter(Fetch(i, 0, 1)));
  EXPECT_THAT(queue.Enter(Fetch(1, 0, 1)),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace pagelift
