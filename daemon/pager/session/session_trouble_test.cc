// What goes wrong: with the source, with restore, with what restore says.

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::HasSubstr;

class SessionTest : public SessionTestBase {};

TEST_F(SessionTest, LostPagesRaiseSigbusAndAreNeverZero) {
  source_->FailFrom(ImagePage(50), absl::DataLossError("bad checksum"));
  target_.Restore(dir_.path());
  EXPECT_EQ(thread().Read(target_.page(55)).signal, SIGBUS);
  ASSERT_TRUE(Eventually([this] {
    return session_->stats().pages_lost == 14 &&
           session_->Snapshot().pages_missing == PageCount(0);
  }));
  ExpectImagePage(49, 49);
  EXPECT_EQ(State(), SessionState::kDraining);
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("bad checksum"));
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, CompletesWhenTheTargetLetsGoOfWhatIsLost) {
  source_->FailFrom(ImagePage(60), absl::DataLossError("bad checksum"));
  target_.Restore(dir_.path());
  ASSERT_TRUE(Eventually([this] {
    return session_->stats().pages_lost == 4 &&
           session_->Snapshot().pages_missing == PageCount(0);
  }));
  ASSERT_EQ(thread().On(Op::kUnmap, target_.pages(60, 4)), 0);
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kComplete);
}

TEST_F(SessionTest, WhatIsUnavailableIsAskedForAgainButNotWithoutPause) {
  source_->FailFrom(ImagePage(0), absl::UnavailableError("not now"));
  target_.Restore(dir_.path());
  thread().StartRead(target_.page(3));
  ASSERT_TRUE(source_->WaitForRequests(2, kSoon));
  EXPECT_TRUE(FallAsleep(OtherThreads()));
  EXPECT_FALSE(thread().has_finished());
  source_->FailFrom(ImagePage(0), absl::OkStatus());
  EXPECT_TRUE(HoldsPattern(thread().Finish().page.data(), ImagePage(3)));
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, ASourceThatIsLostLaterFreezesTheTasks) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  thread(1).StartRead(target_.page(5));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  source_->BeGone();
  // Housekeeping alone finds out that a child has executed another program; by
  // the second it has been through all that follows the first.
  for (int i = 0; i < 2; ++i) {
    target_.Fork(thread()).StartOn(Op::kExec, {});
    ASSERT_TRUE(Eventually(
        [this] { return session_->Snapshot().address_spaces == 1; }));
  }
  EXPECT_TRUE(thread(1).is_blocked());
  EXPECT_EQ(session_->stats().pages_lost, 0u);
}

}  // namespace
}  // namespace pagelift
