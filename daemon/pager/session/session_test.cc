// The test plays restore and the source; the target is a process of its own,
// and the kernel is the real one.

#include "daemon/pager/session/session.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "absl/strings/match.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SessionTest : public SessionTestBase {};

// --- From hand-off to completion ---------------------------------------------

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

// --- What targets do meanwhile -----------------------------------------------

class HeldSessionTest : public SessionTestBase {
 protected:
  // All pages are requested and none has come.
  void SetUp() override {
    SessionTestBase::SetUp();
    source_->HoldReplies();
    target_.Restore(dir_.path());
    ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  }
  void Release() {
    source_->StopHolding();
    ASSERT_TRUE(WaitUntilEnded());
    EXPECT_EQ(State(), SessionState::kComplete);
  }
};

TEST_F(HeldSessionTest, WhatIsDiscardedReadsAsZero) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(2, 3), MADV_DONTNEED), 0);
  Release();
  ExpectImagePage(1, 1);
  for (uint64_t i : {2, 3, 4}) ExpectZero(i);
  ExpectImagePage(5, 5);
}

TEST_F(HeldSessionTest, WhatIsMovedArrivesAtItsNewPlace) {
  ASSERT_EQ(thread().Move(target_.pages(4, 4), target_.spare(), PageCount(4)),
            0);
  Release();
  ExpectImagePageAt(target_.spare(2), 6);
  EXPECT_EQ(thread().Read(target_.page(5)).signal, SIGSEGV);
}

TEST_F(HeldSessionTest, WhatIsUnmappedIsNotWaitedFor) {
  thread(1).StartRead(target_.page(9));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  ASSERT_EQ(thread().On(Op::kUnmap, target_.pages(8, 4)), 0);
  EXPECT_EQ(thread(1).Finish().signal, SIGSEGV);
  Release();
  ExpectImagePage(12, 12);
}

TEST_F(HeldSessionTest, AForkedChildGetsWhatTheParentGets) {
  TargetThread& child = target_.Fork(thread());
  child.StartRead(target_.page(3));
  thread(1).StartRead(target_.page(3));
  ASSERT_TRUE(child.WaitUntilBlocked());
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  Release();
  EXPECT_TRUE(HoldsPattern(child.Finish().page.data(), ImagePage(3)));
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(3)));
  EXPECT_THAT(target_.RegisteredNow(child), IsEmpty());
}

TEST_F(HeldSessionTest, AGrandchildReadsWhatWasThereWhenItWasForked) {
  TargetThread& child = target_.Fork(thread());
  ASSERT_EQ(child.On(Op::kAdvise, target_.pages(0, 2), MADV_DONTNEED), 0);
  TargetThread& grandchild = target_.Fork(child);
  ASSERT_EQ(grandchild.Move(target_.pages(4, 4), target_.spare(), PageCount(4)),
            0);
  Release();
  ExpectImagePage(0, 0);
  ExpectZero(0, grandchild);
  ExpectImagePage(2, 2, grandchild);
  ExpectImagePageAt(target_.spare(1), 5, grandchild);
  ExpectImagePage(5, 5, child);
}

TEST_F(HeldSessionTest, MemoryThatIsWipedOnForkIsZeroInTheChild) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(2, 2), MADV_WIPEONFORK), 0);
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(8, 2), MADV_DONTFORK), 0);
  TargetThread& child = target_.Fork(thread());
  Release();
  ExpectZero(2, child);
  ExpectImagePage(4, 4, child);
  EXPECT_EQ(child.Read(target_.page(8)).signal, SIGSEGV);
  ExpectImagePage(2, 2);
  ExpectImagePage(8, 8);
}

TEST_F(HeldSessionTest, MemoryThatAChildWipesOnForkIsZeroInTheGrandchild) {
  TargetThread& child = target_.Fork(thread());
  ASSERT_EQ(child.On(Op::kAdvise, target_.pages(2, 2), MADV_WIPEONFORK), 0);
  TargetThread& grandchild = target_.Fork(child);
  ASSERT_EQ(grandchild.On(Op::kAdvise, target_.pages(6, 2), MADV_WIPEONFORK),
            0);
  TargetThread& last = target_.Fork(grandchild);
  Release();
  ExpectImagePage(2, 2, child);
  ExpectZero(2, grandchild);
  ExpectImagePage(6, 6, grandchild);
  ExpectZero(3, last);
  ExpectZero(7, last);
  ExpectImagePage(4, 4, last);
}

TEST_F(HeldSessionTest, MovesThatGrowAndThatLeaveTheOldPlaceHaveZeroTails) {
  ASSERT_EQ(thread().Move(target_.pages(0, 4), target_.spare(), PageCount(8)),
            0);
  ASSERT_EQ(thread().Move(target_.pages(8, 4), target_.spare(16), PageCount(4),
                          MREMAP_DONTUNMAP),
            0);
  Release();
  ExpectImagePageAt(target_.spare(3), 3);
  ExpectZeroAt(target_.spare(4));
  ExpectImagePageAt(target_.spare(17), 9);
  ExpectZero(9);
}

TEST_F(HeldSessionTest, LockedMemoryGrowsWhereItIsMovedTo) {
  // Zeros, so that it is locked before the image comes.
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(0, 4), MADV_DONTNEED), 0);
  ASSERT_EQ(thread().On(Op::kLock, target_.pages(0, 4)), 0);
  // Onto pages that have not come.
  ASSERT_EQ(thread().Move(target_.pages(0, 4), target_.page(16), PageCount(12)),
            0);
  ExpectZero(16);
  ExpectZero(27);
  // It is still one mapping, and registered.
  ASSERT_EQ(
      thread().Move(target_.pages(16, 12), target_.spare(), PageCount(12)), 0);
  ASSERT_EQ(thread().On(Op::kAdvise, {target_.spare(8), PageCount(1)},
                        MADV_DONTNEED_LOCKED),
            0);
  Release();
  ExpectZeroAt(target_.spare(8));
  ExpectZeroAt(target_.spare(11));
  ExpectImagePage(28, 28);
}

TEST_F(HeldSessionTest, LockedMemoryGrowsWhereverTheKernelMovesIt) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(0, 4), MADV_DONTNEED), 0);
  ASSERT_EQ(thread().On(Op::kLock, target_.pages(0, 4)), 0);
  // A demand that cannot be answered yet is not mistaken for such growth.
  thread(1).StartRead(target_.page(20));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  TargetCommand grow;
  grow.op = Op::kMove;
  grow.range = target_.pages(0, 4);
  grow.to_count = PageCount(12);
  grow.value = MREMAP_MAYMOVE;
  const int64_t address = thread().Do(grow).result;
  ASSERT_LT(0, address);
  const PageId there(static_cast<uint64_t>(address) >> kPageShift);
  EXPECT_NE(there, target_.page(0));
  ExpectZeroAt(there);
  ExpectZeroAt(there + PageCount(11));
  ASSERT_EQ(
      thread().Move({there, PageCount(12)}, target_.spare(), PageCount(12)), 0);
  Release();
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(20)));
}

TEST_F(HeldSessionTest, SeveralThreadsAndSplitMappingsAreAllServed) {
  ASSERT_EQ(thread().On(Op::kProtect, target_.pages(5, 1), PROT_READ), 0);
  for (int i = 1; i < RestoredTarget::kThreads; ++i) {
    thread(i).StartRead(target_.page(static_cast<uint64_t>(4 + i)));
    ASSERT_TRUE(thread(i).WaitUntilBlocked());
  }
  Release();
  for (int i = 1; i < RestoredTarget::kThreads; ++i) {
    EXPECT_TRUE(HoldsPattern(thread(i).Finish().page.data(),
                             ImagePage(static_cast<uint64_t>(4 + i))));
  }
}

TEST_F(HeldSessionTest, AStalledSourceCostsNoTime) {
  thread(1).StartRead(target_.page(3));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  EXPECT_LT(BusyShare(), 0.2);
  Release();
  thread(1).Finish();
}

// --- What ends early ---------------------------------------------------------

TEST_F(HeldSessionTest, EndsWhenTheTargetIsKilled) {
  thread(1).StartRead(target_.page(3));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(HeldSessionTest, EndsWhenTheTargetExecutesAnotherProgram) {
  thread().StartOn(Op::kExec, {});
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(HeldSessionTest, ADeadChildDoesNotEndTheParentsSession) {
  TargetThread& child = target_.Fork(thread());
  child.StartOn(Op::kExit, {}, 0);
  ASSERT_TRUE(
      Eventually([this] { return session_->Snapshot().address_spaces == 1; }));
  Release();
  ExpectImagePage(0, 0);
}

TEST_F(HeldSessionTest, AMemoryThatOutlivesItsProcessIsServedToTheEnd) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP()
      << "the sanitizer hangs in a process that clone(2) made to share "
         "the memory of another";
#endif
  TargetThread& sharer = target_.ShareMemory(thread());
  sharer.StartRead(target_.page(3));
  ASSERT_TRUE(sharer.WaitUntilBlocked());
  // Ends all threads, but not the process that was made to share the memory.
  target_.thread(2).StartOn(Op::kExit, {}, 0);
  ASSERT_TRUE(Eventually([this] { return target_.HasExited(thread()); }));
  EXPECT_FALSE(sharer.has_finished());
  source_->StopHolding();
  EXPECT_TRUE(HoldsPattern(sharer.Finish().page.data(), ImagePage(3)));
  EXPECT_TRUE(WaitUntilEnded());
}

// --- What goes wrong ---------------------------------------------------------

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
  EXPECT_LT(BusyShare(), 0.2);
  EXPECT_LT(source_->requests().size(), 200u);
  EXPECT_FALSE(thread().has_finished());
  source_->FailFrom(ImagePage(0), absl::OkStatus());
  EXPECT_TRUE(HoldsPattern(thread().Finish().page.data(), ImagePage(3)));
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, WithoutASourceTheRestoreFailsInsteadOfWaitingForEver) {
  target_.Connect(dir_.path());
  target_.HandOver();
  source_->BeGone();
  EXPECT_EQ(thread().Read(target_.page(5)).signal, SIGBUS);
  thread().On(Op::kHangUp, {});
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kFailed);
}

TEST_F(SessionTest, ASourceThatIsLostLaterFreezesTheTasks) {
  source_->HoldReplies();
  target_.Restore(dir_.path());
  ASSERT_TRUE(source_->WaitForRequests(1, kSoon));
  thread(1).StartRead(target_.page(5));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  source_->BeGone();
  // Longer than housekeeping takes to notice.
  EXPECT_FALSE(Eventually([this] { return !thread(1).is_blocked(); },
                          absl::Milliseconds(1500)));
  EXPECT_EQ(session_->stats().pages_lost, 0u);
}

TEST_F(SessionTest, WhenRestoreFailsTheTasksAreServedUntilTheyAreGone) {
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

TEST_F(SessionTest, ATaskOfAnotherCheckpointIsRefusedAndNeverReadsZeros) {
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

TEST_F(SessionTest, ATaskThatComesTwiceIsRefused) {
  target_.Connect(dir_.path());
  thread().On(Op::kHandOver, {}, RestoredTarget::kImagePid);
  target_.HandOver();
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  EXPECT_THAT(session_->Snapshot().trouble, HasSubstr("came twice"));
  ExpectImagePage(5, 5);
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(SessionTest, GarbageIsRefused) {
  target_.Connect(dir_.path());
  target_.HandOver();
  thread().On(Op::kSay, {}, 0x20544547);
  ASSERT_TRUE(Eventually([this] { return State() == SessionState::kFailed; }));
  ExpectImagePage(5, 5);
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

TEST_F(HeldSessionTest, AForkWaitsWhileThereIsNoFreeDescriptor) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit lowered = limit;
  lowered.rlim_cur = 0;  // What is open stays.
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  TargetThread& child = target_.StartFork(thread());
  const bool noticed = Eventually([this] {
    return absl::StrContains(session_->Snapshot().trouble, "forks");
  });
  const double busy = BusyShare();
  // The others go on.
  thread(1).StartRead(target_.page(1));
  const bool asked = source_->WaitForRequests(2, kSoon);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(noticed);
  EXPECT_TRUE(asked);
  EXPECT_LT(busy, 0.2);
  target_.FinishFork(thread(), child);
  EXPECT_TRUE(
      Eventually([this] { return session_->Snapshot().trouble.empty(); }));
  Release();
  ExpectImagePage(9, 9, child);
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(1)));
}

}  // namespace
}  // namespace pagelift
