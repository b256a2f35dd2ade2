// From hand-off to completion. The test plays restore and the source; the
// target is a process of its own, and the kernel is the real one.

#include "daemon/pager/session/session.h"

#include "daemon/pager/session/testing/session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::IsEmpty;
using ::testing::Not;

class SessionTest : public SessionTestBase {};

TEST_F(SessionTest, BringsEveryPageAndLetsGo) {
  target_.Restore(dir_.path());
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kComplete);
  EXPECT_EQ(session_->Snapshot().trouble, "");
  for (uint64_t i = 0; i < kPages.raw(); ++i) ExpectImagePage(i, i);
  EXPECT_THAT(target_.RegisteredNow(target_.thread()), IsEmpty());
}

TEST_F(SessionTest, ServesFaultsButPrefetchesNothingBeforeRestoreHasFinished) {
  target_.Connect(dir_.path());
  target_.HandOver();
  ExpectImagePage(7, 7);
  EXPECT_EQ(source_->requests().size(), 1u);
  EXPECT_EQ(State(), SessionState::kServing);
  target_.Finish();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, PiecesMayBeCutAnywhereAndZeroPagesComeWithout) {
  source_->CutPiecesAt(1000);
  source_->LimitBatches(PageCount(5));
  source_->MakeZero({ImagePage(20), PageCount(10)});
  target_.Restore(dir_.path());
  ASSERT_TRUE(WaitUntilEnded());
  for (uint64_t i = 0; i < 20; ++i) ExpectImagePage(i, i);
  for (uint64_t i = 20; i < 30; ++i) ExpectZero(i);
}

TEST_F(SessionTest, StaysAsLongAsAPageIsMissing) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  EXPECT_EQ(session_->Snapshot().pages_missing, kPages);
  EXPECT_EQ(State(), SessionState::kDraining);
  EXPECT_THAT(target_.RegisteredNow(target_.thread()), Not(IsEmpty()));
  source_->StopHolding();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, ADemandOvertakesPrefetch) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  TargetThread& thread = target_.thread();
  thread.StartRead(target_.page(40));
  ASSERT_TRUE(source_->WaitForRequests(2, kSoon));
  EXPECT_EQ(source_->requests().back().urgency, Urgency::kDemand);
  EXPECT_EQ(source_->requests().back().range.first, ImagePage(40));
  ASSERT_TRUE(source_->ReleaseNewest());
  EXPECT_TRUE(HoldsPattern(thread.Finish().page.data(), ImagePage(40)));
  EXPECT_EQ(source_->held(), 1u);
  source_->StopHolding();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, CancelEndsOnlyWhatNobodyHasConnectedTo) {
  EXPECT_TRUE(session_->Cancel().ok());
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kFailed);
}

TEST_F(SessionTest, CancelIsRefusedOnceATaskDependsOnIt) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  EXPECT_FALSE(session_->Cancel().ok());
  source_->StopHolding();
  EXPECT_TRUE(WaitUntilEnded());
}

class MustHaveSessionTest : public SessionTestBase {
 protected:
  ImageDescription Image() const override {
    ImageDescription image = SessionTestBase::Image();
    image.tasks[0].must_have_pages = {target_.page(5), target_.page(40)};
    return image;
  }
};

TEST_F(MustHaveSessionTest, MustHavePagesAreThereBeforeTheTaskRuns) {
  target_.Connect(dir_.path());
  // Its mapping is not registered yet.
  ASSERT_EQ(thread().On(Op::kHandOver, {}, RestoredTarget::kImagePid), 0);
  ASSERT_TRUE(
      Eventually([this] { return session_->Snapshot().address_spaces == 1; }));
  EXPECT_EQ(source_->requests().size(), 0u);
  ASSERT_EQ(thread().On(Op::kRegister, target_.region()), 0);
  ASSERT_TRUE(
      Eventually([this] { return session_->stats().pages_installed == 2; }));
  EXPECT_EQ(source_->requests().size(), 2u);
  EXPECT_EQ(source_->requests()[1].urgency, Urgency::kDemand);
  EXPECT_EQ(session_->stats().faults, 0u);
  thread().On(Op::kForgetUserfaultFd, {});
  target_.Finish();
  ASSERT_TRUE(WaitUntilEnded());
  ExpectImagePage(5, 5);
  ExpectImagePage(41, 41);
}

TEST_F(MustHaveSessionTest, MustHavePagesGoBeforeTheSweep) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(3, kSoon));
  EXPECT_EQ(source_->requests()[0].range.first, ImagePage(5));
  EXPECT_EQ(source_->requests()[1].range.first, ImagePage(40));
  source_->StopHolding();
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kComplete);
}

}  // namespace
}  // namespace pagelift
