// Hand-overs that fail, or are refused: nothing is served wrongly, and nothing
// reads zeros.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "daemon/pager/session/testing/userfaultfds_here.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/fake_page_source.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SessionHandoffTest : public SessionTestBase {
 protected:
  // The target's userfaultfd is open somewhere, and nobody answers.
  void ExpectWaitsAtFirstTouch() {
    thread().StartRead(target_.page(0));
    EXPECT_TRUE(thread().WaitUntilBlocked());
    EXPECT_FALSE(thread().has_finished());
    EXPECT_THAT(target_.RegisteredNow(thread(1)), Not(IsEmpty()));
  }
};

TEST_F(SessionHandoffTest,
       WithoutASourceTheRestoreFailsInsteadOfWaitingForEver) {
  target_.Connect(dir_.path());
  target_.HandOver();
  source_->BeGone();
  EXPECT_EQ(thread().Read(target_.page(5)).signal, SIGBUS);
  thread().On(Op::kHangUp, {});
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kFailed);
}

TEST_F(SessionHandoffTest, WhenRestoreFailsTheTasksAreServedUntilTheyAreGone) {
  target_.Connect(dir_.path());
  target_.HandOver();
  thread().On(Op::kHangUp, {});
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  ExpectImagePage(5, 5);
  EXPECT_FALSE(session_->has_ended());
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("criu restore ended"));
}

TEST_F(SessionHandoffTest, WhenARestoreIsTakenBackNothingOfItIsKept) {
  target_.Connect(dir_.path());
  target_.HandOver();
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kServing; }));
  // Whoever restores has died, or never let it run; then all is killed.
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kFailed);
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("criu restore ended"));
  EXPECT_EQ(session_->stats().pages_lost, 0u);
  EXPECT_EQ(UserfaultFdsHere(), 0);
  // And where it was there is room for the next one.
  Session::Options options;
  options.work_dir = dir_.path();
  ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<Session> next,
      Session::Open(options, std::make_unique<FakePageSource>(Image())));
  EXPECT_OK(next->Cancel());
  next->WaitUntilEnded();
}

TEST_F(SessionHandoffTest,
       ATaskOfAnotherCheckpointIsRefusedAndNeverReadsZeros) {
  target_.Connect(dir_.path());
  target_.HandOver(RestoredTarget::kImagePid + 1);
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("another checkpoint"));
  // Whoever restores notices before anything runs.
  ASSERT_TRUE(Eventually([this] { return thread().On(Op::kSay, {}, 7) != 0; }));
  thread().StartRead(target_.page(0));
  EXPECT_TRUE(thread().WaitUntilBlocked());
  EXPECT_FALSE(session_->has_ended());
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionHandoffTest, ATaskThatComesTwiceIsRefused) {
  target_.Connect(dir_.path());
  thread().On(Op::kHandOver, {}, RestoredTarget::kImagePid);
  target_.HandOver();
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("came twice"));
  ExpectImagePage(5, 5);
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionHandoffTest, GarbageIsRefused) {
  target_.Connect(dir_.path());
  target_.HandOver();
  thread().On(Op::kSay, {}, 0x20544547);
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  ExpectImagePage(5, 5);
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionHandoffTest, AKernelWithoutAnEventIsRefusedAndNeverReadsZeros) {
  target_.Connect(dir_.path(), Feature::kEventUnmap);
  target_.HandOver();
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  EXPECT_THAT(session_->Snapshot().trouble,
              AllOf(HasSubstr("lacks EVENT_UNMAP."),
                    HasSubstr("another kernel or criu"),
                    HasSubstr("without --lazy-pages")));
  ASSERT_TRUE(Eventually([this] { return thread().On(Op::kSay, {}, 7) != 0; }));
  ExpectWaitsAtFirstTouch();
  EXPECT_FALSE(session_->has_ended());
  EXPECT_THAT(source_->requests(), IsEmpty());
  EXPECT_EQ(session_->stats().pages_zeroed, 0u);
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionHandoffTest, WhatCannotBeAdoptedStaysOpenEvenAfterTheSession) {
  target_.Connect(dir_.path());
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kServing; }));
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // Room for what is handed over, and for nothing that is to be asked of it.
  const int next = dup(STDIN_FILENO);
  ASSERT_GE(next, 0);
  close(next);
  rlimit lowered = limit;
  lowered.rlim_cur = static_cast<rlim_t>(next) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  target_.HandOver();
  const bool ended = WaitUntilEnded();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_TRUE(ended);
  EXPECT_EQ(State(), SessionState::kFailed);
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("Too many open files"));
  session_.reset();
  ExpectWaitsAtFirstTouch();
}

}  // namespace
}  // namespace pagelift
