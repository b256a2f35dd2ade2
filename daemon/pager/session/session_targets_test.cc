// What targets do to their memory while all of it is on its way, and how they
// end.

#include <signal.h>
#include <sys/mman.h>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::IsEmpty;

class HeldSessionTest : public HeldSessionTestBase {};

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

TEST_F(HeldSessionTest, LockedMemoryGrowsInProcessesThatAreNotKnown) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(0, 8), MADV_DONTNEED), 0);
  TargetThread& one = target_.ForkSibling(thread());
  TargetThread& other = target_.ForkSibling(thread());
  // At the same place, in the same instant.
  for (TargetThread* child : {&one, &other}) {
    ASSERT_EQ(child->On(Op::kLock, target_.pages(0, 4)), 0);
  }
  one.StartMove(target_.pages(0, 4), target_.page(16), PageCount(12));
  other.StartMove(target_.pages(0, 4), target_.page(18), PageCount(8));
  for (TargetThread* child : {&one, &other}) {
    EXPECT_LT(0, child->Finish().result);
  }
  Release();
  for (uint64_t i : {16, 20, 27}) ExpectZero(i, one);
  ExpectImagePage(28, 28, one);
  ExpectImagePage(17, 17, other);
  for (uint64_t i : {18, 22, 25}) ExpectZero(i, other);
  ExpectImagePage(26, 26, other);
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
  EXPECT_TRUE(FallAsleep(OtherThreads()));
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

}  // namespace
}  // namespace pagelift
