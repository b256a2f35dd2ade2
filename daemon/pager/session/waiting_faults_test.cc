#include "daemon/pager/session/waiting_faults.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1000);

std::vector<absl::Duration> Answer(WaitingFaults& faults, PageRange range,
                                   absl::Time now) {
  std::vector<absl::Duration> waited;
  faults.Answered(
      range, [&](absl::Duration d) { waited.push_back(d); }, now);
  return waited;
}

TEST(WaitingFaultsTest, ContainsWhatSomebodyWaitsFor) {
  WaitingFaults waiting;
  waiting.Demand(PageId(3), kNow);
  waiting.Defer(PageId(5), kNow);
  EXPECT_TRUE(waiting.Contains(PageId(3)));
  EXPECT_TRUE(waiting.Contains(PageId(5)));
  EXPECT_FALSE(waiting.Contains(PageId(4)));
  waiting.Forget({PageId(3), PageCount(1)});
  EXPECT_FALSE(waiting.Contains(PageId(3)));
}

TEST(WaitingFaultsTest, APageIsAskedForOnce) {
  WaitingFaults faults;
  EXPECT_TRUE(faults.Demand(PageId(7), kNow));
  EXPECT_FALSE(faults.Demand(PageId(7), kNow));
  EXPECT_FALSE(faults.empty());
}

TEST(WaitingFaultsTest, TellsHowLongEachAnsweredPageWaited) {
  WaitingFaults faults;
  faults.Demand(PageId(7), kNow);
  faults.Demand(PageId(9), kNow + absl::Microseconds(5));
  faults.Demand(PageId(20), kNow);
  EXPECT_THAT(
      Answer(faults, {PageId(7), PageCount(3)}, kNow + absl::Microseconds(10)),
      ElementsAre(absl::Microseconds(10), absl::Microseconds(5)));
  EXPECT_FALSE(faults.empty());
  EXPECT_THAT(Answer(faults, {PageId(7), PageCount(3)}, kNow), IsEmpty());
}

TEST(WaitingFaultsTest, ADeferredPageIsAskedForAgain) {
  WaitingFaults faults;
  faults.Demand(PageId(7), kNow);
  faults.Demand(PageId(8), kNow);
  faults.DeferAll({PageId(0), PageCount(8)});
  EXPECT_TRUE(faults.any_deferred());
  EXPECT_THAT(faults.Deferred(), ElementsAre(PageId(7)));
  EXPECT_TRUE(faults.Demand(PageId(7), kNow + absl::Seconds(1)));
  EXPECT_FALSE(faults.any_deferred());
  // The wait goes on from the first message.
  EXPECT_EQ(faults.OldestSince(), kNow);
}

TEST(WaitingFaultsTest, ForgottenPagesAreNobodysAnyMore) {
  WaitingFaults faults;
  faults.Defer(PageId(7), kNow);
  faults.Forget({PageId(0), PageCount(100)});
  EXPECT_TRUE(faults.empty());
  EXPECT_FALSE(faults.any_deferred());
  EXPECT_EQ(faults.OldestSince(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace pagelift
