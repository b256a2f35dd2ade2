#include "daemon/pager/session/invariants.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr PageId kPage{77};
constexpr absl::Duration kPatience = absl::Seconds(10);
const absl::Time kStart = absl::FromUnixSeconds(1000);

class InvariantCheckerTest : public ::testing::Test {
 protected:
  InvariantCheckerTest() {
    facts_.counts.requested = PageCount(3);
    facts_.counts.present = PageCount(5);
    facts_.counted = facts_.counts;
    facts_.kernel.emplace();
  }
  void AddWaiting(std::optional<PageState> state, bool deferred) {
    facts_.waiting.push_back({{kPage, kStart, deferred}, state});
    facts_.kernel->waiting_faults = 1;
  }
  std::vector<std::string> CheckAfter(absl::Duration time) {
    return checker_.Check(facts_, kStart + time);
  }

  AddressSpaceFacts facts_;
  InvariantChecker checker_{kPatience};
};

TEST_F(InvariantCheckerTest, AFaultMayWaitForWhatIsOnItsWay) {
  AddWaiting(PageState::kRequested, /*deferred=*/false);
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(CheckAfter(kPatience), IsEmpty());
}

TEST_F(InvariantCheckerTest, AFaultThatIsDeferredMayWaitForAnything) {
  AddWaiting(std::nullopt, /*deferred=*/true);
  AddWaiting(PageState::kMissing, /*deferred=*/true);
  EXPECT_THAT(CheckAfter(kPatience), IsEmpty());
}

TEST_F(InvariantCheckerTest, NobodyWaitsForWhatIsNotOnItsWay) {
  AddWaiting(std::nullopt, /*deferred=*/false);
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()),
              ElementsAre(HasSubstr("not on its way")));
  facts_.waiting.clear();
  AddWaiting(PageState::kPresent, /*deferred=*/false);
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()),
              ElementsAre(HasSubstr("not on its way")));
}

TEST_F(InvariantCheckerTest, NobodyWaitsForLong) {
  AddWaiting(PageState::kRequested, /*deferred=*/false);
  EXPECT_THAT(CheckAfter(kPatience + absl::Seconds(1)),
              ElementsAre(HasSubstr("has waited")));
}

TEST_F(InvariantCheckerTest, TheMapCountsItsPagesRight) {
  facts_.counts.missing = PageCount(1);
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()),
              ElementsAre(HasSubstr("the map counts")));
}

TEST_F(InvariantCheckerTest, NothingIsClosedWithPagesThatAreNotThere) {
  facts_.closed = true;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), ElementsAre(HasSubstr("I4")));
  facts_.gone = true;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), IsEmpty());
}

TEST_F(InvariantCheckerTest, NothingIsClosedWhileAPageIsLost) {
  facts_.counts.requested = PageCount(0);
  facts_.counts.lost = PageCount(1);
  facts_.counted = facts_.counts;
  facts_.closed = true;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), ElementsAre(HasSubstr("I4")));
}

TEST_F(InvariantCheckerTest, NobodyWaitsForWhatIsClosed) {
  AddWaiting(PageState::kRequested, /*deferred=*/true);
  facts_.gone = true;
  facts_.closed = true;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), ElementsAre(HasSubstr("I3")));
}

TEST_F(InvariantCheckerTest, FaultsAreNotLeftUnread) {
  facts_.kernel->unread_faults = facts_.kernel->waiting_faults = 1;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(CheckAfter(kPatience + absl::Seconds(1)),
              ElementsAre(HasSubstr("unread")));
}

TEST_F(InvariantCheckerTest, FaultsThatAreReadInBetweenAreOthers) {
  facts_.kernel->unread_faults = facts_.kernel->waiting_faults = 1;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), IsEmpty());
  facts_.kernel->unread_faults = facts_.kernel->waiting_faults = 0;
  EXPECT_THAT(CheckAfter(kPatience), IsEmpty());
  facts_.kernel->unread_faults = facts_.kernel->waiting_faults = 1;
  EXPECT_THAT(CheckAfter(kPatience + absl::Seconds(1)), IsEmpty());
}

TEST_F(InvariantCheckerTest, AHeldChildsFaultsMayBeUnread) {
  facts_.held = true;
  facts_.kernel->unread_faults = facts_.kernel->waiting_faults = 1;
  CheckAfter(absl::ZeroDuration());
  EXPECT_THAT(CheckAfter(2 * kPatience), IsEmpty());
}

TEST_F(InvariantCheckerTest, NobodyWaitsOfWhomWeKnowNothing) {
  facts_.kernel->waiting_faults = 2;
  EXPECT_THAT(CheckAfter(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(CheckAfter(kPatience + absl::Seconds(1)),
              ElementsAre(HasSubstr("2 threads wait")));
}

TEST_F(InvariantCheckerTest, WhatTheKernelDoesNotTellIsNotHeldAgainstAnybody) {
  facts_.kernel.reset();
  CheckAfter(absl::ZeroDuration());
  EXPECT_THAT(CheckAfter(2 * kPatience), IsEmpty());
}

}  // namespace
}  // namespace pagelift
