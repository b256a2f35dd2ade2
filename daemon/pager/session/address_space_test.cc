// The test is the event thread and the source; threads of this process are the
// target. The kernel is the real one.

#include "daemon/pager/session/address_space.h"

#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "daemon/pager/session/testing/address_space_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/wait_for_events.h"

namespace pagelift {
namespace {

using ::testing::SizeIs;

class AddressSpaceTest : public AddressSpaceTestBase {};

TEST_F(AddressSpaceTest, AMissingPageIsAskedForOnceHoweverManyWait) {
  FaultingThread first = FaultingThread::StartRead(pages_.data(3));
  FaultingThread second = FaultingThread::StartRead(pages_.data(3));
  ASSERT_TRUE(Eventually([this] {
    Drain();
    return faults_.size() >= 2;
  }));
  ImagePage image;
  EXPECT_EQ(space_->Resolve(pages_.at(3), &image), Answer::kFetch);
  EXPECT_EQ(image, ImagePage(3));
  EXPECT_EQ(space_->Resolve(pages_.at(3), &image), Answer::kOnItsWay);
  EXPECT_EQ(Install(*space_, 3, 1), Outcome::kDone);
  EXPECT_EQ(first.Result(), FirstByteOf(3));
  EXPECT_EQ(second.Result(), FirstByteOf(3));
  EXPECT_TRUE(space_->waiting().empty());
}

TEST_F(AddressSpaceTest, ADemandAsksAgainForWhatPrefetchAskedFor) {
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, PageCount(8)).has_value());
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetchSooner);
  EXPECT_EQ(Install(*space_, 5, 1), Outcome::kDone);
  EXPECT_EQ(thread.Result(), FirstByteOf(5));
  // What prefetch brings later finds it there.
  EXPECT_EQ(Install(*space_, 0, 8), Outcome::kDone);
  EXPECT_EQ(stats_.pages_installed, 8u);
}

TEST_F(AddressSpaceTest, APageThatTheImageDoesNotHaveIsZero) {
  EXPECT_EQ(Touch(44), 0);
  EXPECT_LE(1u, stats_.pages_zeroed);
}

TEST_F(AddressSpaceTest, AReplyAfterADiscardIsDropped) {
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, kInImage).has_value());
  FaultingThread discard = StartAdvise(2, 3, MADV_DONTNEED);
  ASSERT_TRUE(discard.WaitUntilBlocked());
  EXPECT_EQ(Install(*space_, 0, 8), Outcome::kEventPending);
  DrainUntilEnded(discard);
  InstallWhenPossible(*space_, 0, 8);
  EXPECT_EQ(Touch(1), FirstByteOf(1));
  for (uint64_t page : {2, 3, 4}) EXPECT_EQ(Touch(page), 0) << page;
  EXPECT_EQ(Touch(5), FirstByteOf(5));
}

TEST_F(AddressSpaceTest, AReplyAfterAMoveLandsAtTheNewPlace) {
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, kInImage).has_value());
  Move(4, 4, elsewhere_.at(4), 4);
  InstallWhenPossible(*space_, 4, 4);
  EXPECT_EQ(TouchAt(elsewhere_.at(6)), FirstByteOf(6));
}

TEST_F(AddressSpaceTest, AFaultIsDeferredWhileAnEventWaits) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(44));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  while (faults_.empty()) Drain();
  FaultingThread discard = StartAdvise(0, 1, MADV_DONTNEED);
  ASSERT_TRUE(discard.WaitUntilBlocked());
  EXPECT_EQ(AnswerToFault(44), Answer::kDeferred);
  EXPECT_TRUE(space_->waiting().any_deferred());
  ServeUntilEnded(*space_, thread);
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_TRUE(space_->waiting().empty());
}

TEST_F(AddressSpaceTest, ALostPageRaisesSigbusForWhoWaitsAndWhoComes) {
  FaultingThread waiting = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetch);
  EXPECT_EQ(space_->Lose({ImagePage(5), PageCount(2)}), Outcome::kDone);
  ServeUntilEnded(*space_, waiting);
  EXPECT_EQ(waiting.Result(), std::nullopt);
  EXPECT_EQ(Touch(6), -1);
  EXPECT_FALSE(space_->complete());
}

TEST_F(AddressSpaceTest, APageThatIsLostWhileAnEventWaitsStillWakesItsThread) {
  FaultingThread waiting = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetch);
  FaultingThread discard = StartAdvise(20, 1, MADV_DONTNEED);
  ASSERT_TRUE(discard.WaitUntilBlocked());
  space_->Lose({ImagePage(5), PageCount(1)});
  ServeUntilEnded(*space_, waiting);
  EXPECT_EQ(waiting.Result(), std::nullopt);
}

TEST_F(AddressSpaceTest, LosingARangeAcrossMappingsWakesAllItsThreads) {
  ASSERT_EQ(madvise(pages_.data(6), kPageSize, MADV_DONTDUMP), 0);
  FaultingThread waiting = FaultingThread::StartRead(pages_.data(7));
  EXPECT_EQ(AnswerToFault(7), Answer::kFetch);
  space_->Lose({ImagePage(4), PageCount(8)});
  ServeUntilEnded(*space_, waiting);
  EXPECT_EQ(waiting.Result(), std::nullopt);
}

TEST_F(AddressSpaceTest, ARequestThatCameToNothingIsMadeAgain) {
  FaultingThread thread = FaultingThread::StartRead(pages_.data(5));
  EXPECT_EQ(AnswerToFault(5), Answer::kFetch);
  space_->GiveBack({ImagePage(5), PageCount(1)});
  EXPECT_TRUE(space_->waiting().any_deferred());
  ImagePage image;
  EXPECT_EQ(space_->Resolve(pages_.at(5), &image), Answer::kFetch);
  EXPECT_EQ(image, ImagePage(5));
  Install(*space_, 5, 1);
  EXPECT_EQ(thread.Result(), FirstByteOf(5));
}

TEST_F(AddressSpaceTest, ARangeAcrossMappingsIsInstalledInParts) {
  ASSERT_EQ(madvise(pages_.data(6), kPageSize, MADV_DONTDUMP), 0);
  EXPECT_EQ(Install(*space_, 0, 16), Outcome::kDone);
  EXPECT_EQ(stats_.pages_installed, 16u);
  EXPECT_FALSE(space_->has_doubts());
}

TEST_F(AddressSpaceTest, PagesWithoutAMappingAreLetGoAfterAWhile) {
  Adopt(PageCount(32), std::nullopt);  // Of the image's 40 pages.
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, kInImage).has_value());
  for (uint64_t i = 0; i < 40; i += 8) {
    EXPECT_EQ(Install(*space_, i, 8), Outcome::kDone);
  }
  EXPECT_TRUE(space_->has_doubts());
  EXPECT_FALSE(space_->complete());
  EXPECT_TRUE(Eventually([this] { return !space_->SettleDoubts(); }));
  EXPECT_TRUE(space_->complete());
  EXPECT_EQ(space_->counts().present, PageCount(32));
}

TEST_F(AddressSpaceTest, AReplyAfterAForkReachesParentAndChild) {
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, kInImage).has_value());
  ForkedChild child([at = pages_.data(7)] {
    return static_cast<int>(*const_cast<volatile std::byte*>(at));
  });
  DrainUntilEnded(child.forking_thread());
  ASSERT_THAT(children_, SizeIs(1));
  EXPECT_EQ(children_[0]->counts().requested, kInImage);
  InstallWhenPossible(*space_, 0, 16);
  InstallWhenPossible(*children_[0], 0, 16);
  child.Run();
  EXPECT_EQ(child.ExitCode(), FirstByteOf(7));
  EXPECT_EQ(Touch(7), FirstByteOf(7));
}

TEST_F(AddressSpaceTest, AForkedChildInheritsDoubts) {
  Adopt(PageCount(32), std::nullopt);
  ASSERT_TRUE(space_->ClaimFirst(kEveryPage, kInImage).has_value());
  for (uint64_t i = 0; i < 40; i += 8) Install(*space_, i, 8);
  ForkedChild child;
  DrainUntilEnded(child.forking_thread());
  ASSERT_THAT(children_, SizeIs(1));
  EXPECT_FALSE(children_[0]->complete());
  EXPECT_TRUE(Eventually([this] { return !children_[0]->SettleDoubts(); }));
  EXPECT_TRUE(children_[0]->complete());
}

TEST_F(AddressSpaceTest, WhatIsWipedOnForkIsZeroInTheChild) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  ForkedChild child;
  DrainUntilEnded(child.forking_thread());
  ASSERT_THAT(children_, SizeIs(1));
  ASSERT_TRUE(children_[0]->held());
  children_[0]->Release(std::nullopt, {{pages_.at(4), PageCount(4)}});
  EXPECT_EQ(children_[0]->counts().missing, kInImage - PageCount(4));
  EXPECT_EQ(space_->counts().missing, kInImage);
}

TEST_F(AddressSpaceTest, NothingIsInstalledIntoAChildThatIsHeld) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  ForkedChild child;
  DrainUntilEnded(child.forking_thread());
  ASSERT_THAT(children_, SizeIs(1));
  EXPECT_EQ(Install(*children_[0], 0, 8), Outcome::kEventPending);
  EXPECT_EQ(children_[0]->ClaimFirst(kEveryPage, kInImage), std::nullopt);
  EXPECT_FALSE(children_[0]->complete());
  children_[0]->Release(std::nullopt, {});
  InstallWhenPossible(*children_[0], 0, 8);
  EXPECT_EQ(children_[0]->counts().present, PageCount(8));
}

TEST_F(AddressSpaceTest, TheTailOfAMappingThatGrewWhileItMovedIsZero) {
  Move(0, 4, elsewhere_.at(0), 8);
  EXPECT_EQ(TouchAt(elsewhere_.at(3)), FirstByteOf(3));
  EXPECT_EQ(TouchAt(elsewhere_.at(4)), 0);
}

TEST_F(AddressSpaceTest, WhatIsMovedOverIsNotLeftInTheTail) {
  Move(0, 8, elsewhere_.at(0), 8);
  // Its unmap event comes when the new mapping is there already.
  Move(16, 4, elsewhere_.at(0), 8);
  EXPECT_EQ(TouchAt(elsewhere_.at(3)), FirstByteOf(19));
  EXPECT_EQ(TouchAt(elsewhere_.at(4)), 0);
  EXPECT_EQ(TouchAt(elsewhere_.at(7)), 0);
}

TEST_F(AddressSpaceTest, WhatIsMovedOverIsNotLeftInTheTailOfAKnownProcess) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  Move(0, 8, elsewhere_.at(0), 8);
  Move(16, 4, elsewhere_.at(0), 8);
  EXPECT_EQ(TouchAt(elsewhere_.at(3)), FirstByteOf(19));
  EXPECT_EQ(TouchAt(elsewhere_.at(7)), 0);
}

TEST_F(AddressSpaceTest, WhoWaitsInTheTailThatAMoveGrowsOverIsNotForgotten) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  // Holds a move between its unmap event and its remap event.
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(kLayoutEvents));
  ASSERT_OK(
      other.Register({elsewhere_.at(6), PageCount(2)}, FaultKind::kMissing));
  FaultingThread before = StartMove(0, 6, elsewhere_.at(0), 6);
  ASSERT_TRUE(before.WaitUntilBlocked());
  Drain();  // The remap; its unmap waits.
  ASSERT_TRUE(before.WaitUntilBlocked());
  FaultingThread over = StartMove(16, 4, elsewhere_.at(0), 8);
  ASSERT_TRUE(over.WaitUntilBlocked());
  DrainUntilEnded(before);
  FaultingThread reader = FaultingThread::StartRead(elsewhere_.data(5));
  ASSERT_TRUE(reader.WaitUntilBlocked());
  while (faults_.empty()) Drain();
  faults_.clear();
  // As far as is known, what `before` has moved is still there.
  ImagePage image;
  EXPECT_EQ(space_->Resolve(elsewhere_.at(5), &image), Answer::kFetch);
  EXPECT_EQ(image, ImagePage(5));
  WaitFor<Unmapped>(other);
  DrainUntilEnded(over);
  ServeUntilEnded(*space_, reader);
  EXPECT_EQ(reader.Result(), 0);
  EXPECT_TRUE(space_->waiting().empty());
}

TEST_F(AddressSpaceTest, AnUnmapThatIsOlderThanAMoveToTheSamePlaceIsIgnored) {
  // Both have changed the layout before either event is read.
  FaultingThread away = StartMove(0, 4, elsewhere_.at(0), 4);
  ASSERT_TRUE(away.WaitUntilBlocked());
  FaultingThread here = StartMove(16, 4, pages_.at(0), 4);
  ASSERT_TRUE(here.WaitUntilBlocked());
  DrainUntilEnded(away);
  DrainUntilEnded(here);
  EXPECT_EQ(TouchAt(elsewhere_.at(2)), FirstByteOf(2));
  EXPECT_EQ(Touch(2), FirstByteOf(18));
}

TEST_F(AddressSpaceTest, AnOlderUnmapIsIgnoredThoughNothingIsThereAnyMore) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  FaultingThread away = StartMove(0, 4, elsewhere_.at(0), 4);
  ASSERT_TRUE(away.WaitUntilBlocked());
  FaultingThread here = StartMove(16, 4, pages_.at(0), 4);
  ASSERT_TRUE(here.WaitUntilBlocked());
  Drain();
  // Both remaps were read, and both unmaps wait.
  ASSERT_TRUE(away.WaitUntilBlocked());
  ASSERT_TRUE(here.WaitUntilBlocked());
  FaultingThread on = StartMove(0, 4, elsewhere_.at(32), 4);
  ASSERT_TRUE(on.WaitUntilBlocked());
  DrainUntilEnded(away);
  DrainUntilEnded(here);
  DrainUntilEnded(on);
  EXPECT_EQ(TouchAt(elsewhere_.at(2)), FirstByteOf(2));
  EXPECT_EQ(TouchAt(elsewhere_.at(34)), FirstByteOf(18));
}

TEST_F(AddressSpaceTest, WhatGrowsInPlaceOfWhatWasMovedInAndUnmappedIsZero) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  Move(0, 4, elsewhere_.at(0), 4);
  FaultingThread unmap_room = FaultingThread::Start(
      [at = elsewhere_.data(4)] { return munmap(at, 8 * kPageSize); });
  DrainUntilEnded(unmap_room);
  FaultingThread move = StartMove(16, 4, elsewhere_.at(4), 4);
  ASSERT_TRUE(move.WaitUntilBlocked());
  Drain();  // The remap.
  ASSERT_TRUE(move.WaitUntilBlocked());
  FaultingThread unmap = FaultingThread::Start(
      [at = elsewhere_.data(4)] { return munmap(at, 4 * kPageSize); });
  ASSERT_TRUE(unmap.WaitUntilBlocked());
  ASSERT_NE(mremap(elsewhere_.data(0), 4 * kPageSize, 8 * kPageSize, 0),
            MAP_FAILED);
  DrainUntilEnded(move);
  DrainUntilEnded(unmap);
  EXPECT_EQ(TouchAt(elsewhere_.at(5)), 0);
  EXPECT_EQ(TouchAt(elsewhere_.at(1)), FirstByteOf(1));
}

TEST_F(AddressSpaceTest, AnOlderUnmapTakesOnlyWhatNothingWasMovedTo) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  Adopt(kRegistered, std::move(self));
  // So that all of the place counts as moved to.
  Move(8, 8, elsewhere_.at(0), 8);
  Move(0, 8, pages_.at(8), 8);
  FaultingThread away = StartMove(8, 8, elsewhere_.at(16), 8);
  ASSERT_TRUE(away.WaitUntilBlocked());
  FaultingThread here = StartMove(16, 4, pages_.at(12), 4);
  ASSERT_TRUE(here.WaitUntilBlocked());
  DrainUntilEnded(away);
  DrainUntilEnded(here);
  EXPECT_EQ(Touch(13), FirstByteOf(17));
  EXPECT_EQ(TouchAt(elsewhere_.at(16)), FirstByteOf(0));
}

TEST_F(AddressSpaceTest, MovesAreDoubtsOnlyUntilNoEventIsUnderWay) {
  Move(0, 4, elsewhere_.at(0), 4);
  EXPECT_TRUE(Eventually([this] {
    Drain();
    return !space_->SettleDoubts();
  }));
  EXPECT_FALSE(space_->has_doubts());
}

TEST_F(AddressSpaceTest, AfterAMoveThatDoesNotUnmapTheOldPlaceIsZero) {
  Move(0, 4, elsewhere_.at(0), 4, kMoveTo | MREMAP_DONTUNMAP);
  EXPECT_EQ(TouchAt(elsewhere_.at(1)), FirstByteOf(1));
  EXPECT_EQ(Touch(1), 0);
}

TEST_F(AddressSpaceTest, GrowthInPlaceIsZero) {
  FaultingThread unmap = FaultingThread::Start(
      [at = pages_.data(36)] { return munmap(at, 12 * kPageSize); });
  DrainUntilEnded(unmap);
  // No event tells of it.
  ASSERT_NE(mremap(pages_.data(0), 36 * kPageSize, 44 * kPageSize, 0),
            MAP_FAILED);
  EXPECT_EQ(Touch(35), FirstByteOf(35));
  EXPECT_EQ(Touch(37), 0);
  EXPECT_EQ(Touch(42), 0);
}

TEST_F(AddressSpaceTest, DetachIsRefusedWhileAPageIsMissing) {
  Install(*space_, 0, 16);
  EXPECT_FALSE(space_->complete());
  EXPECT_FALSE(space_->Detach([](std::shared_ptr<AddressSpace>) {}));
  EXPECT_FALSE(space_->closed());
}

TEST_F(AddressSpaceTest, DetachUnregistersAndWakesEverybody) {
  for (uint64_t i = 0; i < 40; i += 8) Install(*space_, i, 8);
  ASSERT_TRUE(space_->complete());
  FaultingThread thread = FaultingThread::StartRead(pages_.data(46));
  ASSERT_TRUE(thread.WaitUntilBlocked());
  EXPECT_TRUE(space_->Detach([](std::shared_ptr<AddressSpace>) {}));
  EXPECT_TRUE(space_->closed());
  EXPECT_EQ(thread.Result(), 0);
  ASSERT_OK_AND_ASSIGN(RegisteredRanges now,
                       RegisteredRanges::OfProcess(getpid()));
  EXPECT_THAT(now.RegisteredIn(pages_.range()), SizeIs(0));
  EXPECT_EQ(Install(*space_, 0, 1), Outcome::kGone);
}

TEST_F(AddressSpaceTest, ATargetThatIsAliveIsNotTakenForGone) {
  space_->CheckAlive();
  EXPECT_FALSE(space_->gone());
}

}  // namespace
}  // namespace pagelift
