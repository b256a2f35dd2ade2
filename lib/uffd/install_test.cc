// The operations that install pages, against the running kernel: each answer it
// can be made to give, and what the target then finds.

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class InstallTest : public UffdTest {
 protected:
  InstallTest() : UffdTest(kLayoutEvents | kOperations) {}
};

TEST_F(InstallTest, CopyServesAWaitingThread) {
  MappedPages pages(uffd(), PageCount(4));
  FaultingThread thread = FaultingThread::StartRead(pages.data(2));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(2));
  const InstallResult result = Copy(pages.at(2), 1);
  EXPECT_EQ(result.outcome, Outcome::kInstalled) << result;
  EXPECT_EQ(result.installed, PageCount(1));
  EXPECT_EQ(thread.Result(), 7);
  EXPECT_FALSE(pages.IsPresent(1));
}

TEST_F(InstallTest, CopyKeepsAPresentPage) {
  MappedPages pages(uffd(), PageCount(1));
  Copy(pages.at(0), 1, 1);
  EXPECT_EQ(Copy(pages.at(0), 1, 2).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(ReadByte(pages.data()), 1);
}

TEST_F(InstallTest, CopyStopsAtTheFirstPresentPage) {
  MappedPages pages(uffd(), PageCount(8));
  Copy(pages.at(3), 1, 1);
  const InstallResult result = Copy(pages.at(0), 8, 2);
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(3));
  EXPECT_FALSE(pages.IsPresent(4));
  EXPECT_EQ(Copy(pages.at(3), 5, 2).outcome, Outcome::kAlreadyPresent);
}

TEST_F(InstallTest, CopyDoesNotCrossFromOneMappingIntoAnother) {
  MappedPages pages(uffd(), PageCount(4));
  ASSERT_EQ(mprotect(pages.data(2), 2 * kPageSize, PROT_READ), 0);
  EXPECT_EQ(Copy(pages.at(0), 4).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Copy(pages.at(0), 2).outcome, Outcome::kInstalled);
  EXPECT_EQ(Copy(pages.at(2), 2).outcome, Outcome::kInstalled);
}

TEST_F(InstallTest, CopyOutsideWhatIsRegistered) {
  MappedPages pages(PageCount(1));
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Copy(PageId(16), 1).outcome, Outcome::kRangeGone);
}

TEST_F(InstallTest, CopyFromAHole) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages source(PageCount(4));
  // A real hole might be filled by another thread.
  ASSERT_EQ(mprotect(source.data(2), 2 * kPageSize, PROT_NONE), 0);
  const auto bytes = absl::MakeConstSpan(source.data(), 4 * kPageSize);
  InstallResult result = uffd().Copy(pages.at(0), bytes, WakeMode::kWake);
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(2));
  result =
      uffd().Copy(pages.at(2), bytes.subspan(2 * kPageSize), WakeMode::kWake);
  EXPECT_EQ(result.outcome, Outcome::kSourceFault) << result;
  EXPECT_FALSE(pages.IsPresent(2));
}

TEST_F(InstallTest, CopyOfNothingFails) {
  MappedPages pages(uffd(), PageCount(1));
  const InstallResult result = Copy(pages.at(0), 0);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error, EINVAL);
}

TEST_F(InstallTest, CopyWriteProtectedReportsTheFirstWrite) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  const auto bytes = Pattern(1, 7);
  ASSERT_EQ(
      uffd()
          .Copy(pages.at(0), bytes, WakeMode::kWake, InstallAs::kWriteProtected)
          .outcome,
      Outcome::kInstalled);
  FaultingThread thread =
      FaultingThread::StartWrite(pages.data(), std::byte{8});
  const PageFault fault = WaitFor<PageFault>(uffd());
  EXPECT_EQ(fault.kind, FaultKind::kWriteProtect);
  EXPECT_TRUE(fault.is_write);
  EXPECT_EQ(uffd().Unprotect(pages.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), 8);
}

TEST_F(InstallTest, CopyWriteProtectedNeedsTheRegistration) {
  MappedPages pages(uffd(), PageCount(1));
  const auto bytes = Pattern(1, 7);
  EXPECT_EQ(
      uffd()
          .Copy(pages.at(0), bytes, WakeMode::kWake, InstallAs::kWriteProtected)
          .error,
      EINVAL);
}

TEST_F(InstallTest, CopyReplacesPoison) {
  MappedPages pages(uffd(), PageCount(1));
  uffd().Poison(pages.range(), WakeMode::kWake);
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 7);
}

TEST_F(InstallTest, ZeroServesAWriteInOneGo) {
  MappedPages pages(uffd(), PageCount(8));
  FaultingThread thread =
      FaultingThread::StartWrite(pages.data(5), std::byte{3});
  EXPECT_TRUE(WaitFor<PageFault>(uffd()).is_write);
  EXPECT_EQ(uffd().Zero(pages.range(), WakeMode::kWake).installed,
            PageCount(8));
  EXPECT_EQ(thread.Result(), 3);
  EXPECT_EQ(*pages.data(4), std::byte{0});
}

TEST_F(InstallTest, ZeroRefusesWhatIsThereAndWhatIsNotRegistered) {
  MappedPages pages(uffd(), PageCount(2), missing_and_protect_);
  Copy(pages.at(0), 1);
  EXPECT_EQ(uffd().Zero(pages.range(0, 1), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  uffd().WriteProtect(pages.range(1, 1));  // Leaves a marker.
  EXPECT_EQ(uffd().Zero(pages.range(1, 1), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_EQ(uffd().Zero({PageId(16), PageCount(1)}, WakeMode::kWake).outcome,
            Outcome::kRangeGone);
}

TEST_F(InstallTest, ContinueMapsWhatTheFileHolds) {
  MappedPages pages(uffd(), PageCount(4),
                    FaultKind::kMissing | FaultKind::kMinor,
                    Backing::kSharedFile);
  const auto bytes = Pattern(2, 9);
  ASSERT_EQ(pwrite(pages.file(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMinor);
  const InstallResult result = uffd().Continue(pages.range(), WakeMode::kWake);
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(2));
  EXPECT_EQ(thread.Result(), 9);
  EXPECT_EQ(uffd().Continue(pages.range(0, 1), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_EQ(uffd().Continue(pages.range(2, 1), WakeMode::kWake).outcome,
            Outcome::kSourceFault);
}

TEST_F(InstallTest, ContinueWriteProtected) {
  MappedPages pages(uffd(), PageCount(1),
                    FaultKind::kMinor | FaultKind::kWriteProtect,
                    Backing::kSharedFile);
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  EXPECT_EQ(
      uffd()
          .Continue(pages.range(), WakeMode::kWake, InstallAs::kWriteProtected)
          .outcome,
      Outcome::kInstalled);
  EXPECT_TRUE(pages.IsWriteProtected(0));
}

TEST_F(InstallTest, ContinueIsForSharedMemoryOnly) {
  MappedPages pages(uffd(), PageCount(1));
  EXPECT_EQ(uffd().Continue(pages.range(), WakeMode::kWake).error, EINVAL);
}

TEST_F(InstallTest, NothingGoesBeyondTheEndOfASharedFile) {
  MappedPages pages(uffd(), PageCount(2), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(ftruncate(pages.file(), kPageSize), 0);
  EXPECT_EQ(Copy(pages.at(1), 1).outcome, Outcome::kSourceFault);
  EXPECT_EQ(uffd().Zero(pages.range(1, 1), WakeMode::kWake).outcome,
            Outcome::kSourceFault);
  EXPECT_EQ(uffd().Poison(pages.range(1, 1), WakeMode::kWake).outcome,
            Outcome::kSourceFault);
  EXPECT_EQ(uffd().Continue(pages.range(1, 1), WakeMode::kWake).error, EINVAL);
}

TEST_F(InstallTest, PoisonRaisesABusErrorInWhoeverWaits) {
  MappedPages pages(uffd(), PageCount(2));
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(uffd().Poison(pages.range(), WakeMode::kWake).installed,
            PageCount(2));
  EXPECT_EQ(thread.Result(), std::nullopt);
  EXPECT_EQ(ReadByte(pages.data(1)), std::nullopt);
  EXPECT_EQ(uffd().Poison(pages.range(), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_EQ(uffd().Zero(pages.range(), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
}

TEST_F(InstallTest, PoisonOutlivesTheRegistration) {
  MappedPages pages(uffd(), PageCount(1));
  uffd().Poison(pages.range(), WakeMode::kWake);
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_EQ(ReadByte(pages.data()), std::nullopt);
}

TEST_F(InstallTest, WriteProtectSpansMappingsAndStopsAtWhatIsNotRegistered) {
  MappedPages pages(uffd(), PageCount(4), missing_and_protect_);
  ASSERT_EQ(mprotect(pages.data(2), kPageSize, PROT_READ), 0);
  EXPECT_EQ(uffd().WriteProtect(pages.range()).installed, PageCount(4));
  EXPECT_TRUE(pages.IsWriteProtected(3));
  ASSERT_OK(uffd().Unregister(pages.range(3, 1)));
  EXPECT_EQ(uffd().Unprotect(pages.range(), WakeMode::kWake).outcome,
            Outcome::kRangeGone);
  MappedPages missing_only(uffd(), PageCount(1));
  EXPECT_EQ(uffd().WriteProtect(missing_only.range()).outcome,
            Outcome::kRangeGone);
}

TEST_F(InstallTest, UnprotectCanLeaveTheWriterAsleep) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  FaultingThread thread =
      FaultingThread::StartWrite(pages.data(), std::byte{4});
  WaitFor<PageFault>(uffd());
  ASSERT_TRUE(thread.WaitUntilBlocked());
  uffd().Unprotect(pages.range(), WakeMode::kLeaveAsleep);
  EXPECT_TRUE(thread.is_blocked());
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 4);
}

TEST_F(InstallTest, MoveTakesThePageFromItsSource) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages source(PageCount(4));
  *source.data(0) = std::byte{6};
  *source.data(1) = std::byte{5};
  EXPECT_EQ(
      uffd().Move(source.range(0, 1), pages.at(0), WakeMode::kWake).outcome,
      Outcome::kInstalled);
  EXPECT_EQ(*pages.data(0), std::byte{6});
  EXPECT_FALSE(source.IsPresent(0));
  EXPECT_EQ(
      uffd().Move(source.range(1, 1), pages.at(0), WakeMode::kWake).outcome,
      Outcome::kAlreadyPresent);
}

TEST_F(InstallTest, MoveStopsAtAHoleUnlessToldOtherwise) {
  MappedPages pages(uffd(), PageCount(4));
  MappedPages source(PageCount(4));
  *source.data(0) = std::byte{6};
  *source.data(2) = std::byte{5};
  const InstallResult result =
      uffd().Move(source.range(), pages.at(0), WakeMode::kWake);
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(1));
  EXPECT_EQ(uffd()
                .Move(source.range(1, 3), pages.at(1), WakeMode::kWake,
                      SourceHoles::kSkip)
                .installed,
            PageCount(3));
  EXPECT_EQ(*pages.data(2), std::byte{5});
  EXPECT_FALSE(pages.IsPresent(1));
}

TEST_F(InstallTest, NothingIsInstalledWhileAnEventWaits) {
  MappedPages pages(uffd(), PageCount(4), missing_and_protect_);
  MappedPages more(PageCount(1));
  *more.data() = std::byte{1};
  FaultingThread thread = FaultingThread::Start(
      [at = pages.data(3)] { return madvise(at, kPageSize, MADV_DONTNEED); });
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  const PageRange first = pages.range(0, 1);
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kEventPending);
  EXPECT_EQ(uffd().Zero(first, WakeMode::kWake).outcome,
            Outcome::kEventPending);
  EXPECT_EQ(uffd().Continue(first, WakeMode::kWake).outcome,
            Outcome::kEventPending);
  EXPECT_EQ(uffd().Poison(first, WakeMode::kWake).outcome,
            Outcome::kEventPending);
  EXPECT_EQ(uffd().Move(more.range(), pages.at(0), WakeMode::kWake).outcome,
            Outcome::kEventPending);
  EXPECT_EQ(uffd().WriteProtect(first).outcome, Outcome::kEventPending);
  EXPECT_OK(uffd().Wake(first));
  EXPECT_OK(uffd().Register(pages.range(), missing_and_protect_));

  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(3, 1));
  EXPECT_EQ(RetryWhilePending([&] { return Copy(pages.at(0), 1); }).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(InstallTest, TargetThatHasExited) {
  MappedPages pages(uffd(), PageCount(2), missing_and_protect_);
  ForkedChild process;
  Forked forked = WaitFor<Forked>(uffd());
  ASSERT_OK_AND_ASSIGN(UserfaultFd child,
                       UserfaultFd::Adopt(std::move(forked.child)));
  process.Run();
  ASSERT_EQ(process.ExitCode(), 0);
  const PageRange range = pages.range();
  const auto bytes = Pattern(1, 7);
  EXPECT_EQ(child.Copy(range.first, bytes, WakeMode::kWake).outcome,
            Outcome::kTargetGone);
  EXPECT_EQ(child.Zero(range, WakeMode::kWake).outcome, Outcome::kTargetGone);
  EXPECT_EQ(child.Continue(range, WakeMode::kWake).outcome,
            Outcome::kTargetGone);
  EXPECT_EQ(child.Poison(range, WakeMode::kWake).outcome, Outcome::kTargetGone);
  EXPECT_EQ(child.WriteProtect(range).outcome, Outcome::kTargetGone);
  EXPECT_EQ(child.Move(range, range.first, WakeMode::kWake).error, EINVAL);
  EXPECT_OK(child.Wake(range));
  EXPECT_THAT(child.Register(range, FaultKind::kMissing),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(child.Unregister(range),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace pagelift
