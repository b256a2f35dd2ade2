// UserfaultFd::Zero() against the running kernel: how far it gets, whom it
// wakes, what it keeps, and what the page then is.

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/guard_pages.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class ZeroOutcomesTest : public UffdTest {
 protected:
  InstallResult Zero(PageRange range) const {
    return uffd().Zero(range, WakeMode::kWake);
  }
};

TEST_F(ZeroOutcomesTest, StopsAtTheFirstPresentPage) {
  MappedPages pages(uffd(), PageCount(8));
  Copy(pages.at(5), 1);
  const InstallResult result = Zero(pages.range());
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(5));
  EXPECT_FALSE(pages.IsPresent(6));
  EXPECT_EQ(Zero(pages.range(5, 3)).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(ReadByte(pages.data(5)), 7);
}

TEST_F(ZeroOutcomesTest, PartWakesThoseWhoWaitForThatPart) {
  MappedPages pages(uffd(), PageCount(4));
  Copy(pages.at(2), 1);
  FaultingThread first = FaultingThread::StartRead(pages.data(1));
  FaultingThread last = FaultingThread::StartRead(pages.data(3));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  EXPECT_EQ(Zero(pages.range()).outcome, Outcome::kInterrupted);
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(first.Result(), 0);
  Zero(pages.range(3, 1));
  EXPECT_EQ(last.Result(), 0);
}

TEST_F(ZeroOutcomesTest, PresentPageWakesNobody) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  ASSERT_EQ(uffd().Zero(pages.range(), WakeMode::kLeaveAsleep).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(Zero(pages.range()).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(ZeroOutcomesTest, KeepsAGuard) {
  MappedPages pages(uffd(), PageCount(2));
  InstallGuard(pages.range(1, 1));
  EXPECT_EQ(Zero(pages.range()).installed, PageCount(1));
  EXPECT_EQ(Zero(pages.range(1, 1)).outcome, Outcome::kAlreadyPresent);
  EXPECT_TRUE(IsGuarded(pages.at(1)));
}

TEST_F(ZeroOutcomesTest, DoesNotCrossFromOneMappingIntoAnother) {
  MappedPages pages(uffd(), PageCount(2));
  ASSERT_EQ(mprotect(pages.data(1), kPageSize, PROT_READ), 0);
  EXPECT_EQ(Zero(pages.range()).outcome, Outcome::kRangeGone);
  EXPECT_FALSE(pages.IsPresent(0));
  EXPECT_EQ(Zero(pages.range(0, 1)).outcome, Outcome::kInstalled);
  EXPECT_EQ(Zero(pages.range(1, 1)).outcome, Outcome::kInstalled);
}

TEST_F(ZeroOutcomesTest, WriteToAZeroPageIsNotReported) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(Zero(pages.range()).outcome, Outcome::kInstalled);
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{3});
  EXPECT_EQ(writer.Result(), 3);
  EventBuffer buffer;
  ASSERT_OK_AND_ASSIGN(absl::Span<Event> events, uffd().ReadEvents(buffer));
  EXPECT_TRUE(events.empty());
}

TEST_F(ZeroOutcomesTest, SharedFileGetsAPageOfItsOwn) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(lseek(pages.file(), 0, SEEK_DATA), -1);
  ASSERT_EQ(errno, ENXIO);
  ASSERT_EQ(Zero(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_EQ(lseek(pages.file(), 0, SEEK_DATA), 0);
  EXPECT_EQ(ReadByte(pages.data()), 0);
}

TEST_F(ZeroOutcomesTest, PageOfASharedFileIsPresentThoughNotMapped) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  EXPECT_EQ(Zero(pages.range()).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(ReadByte(pages.data()), 'x');
}

TEST_F(ZeroOutcomesTest, NothingIsNotAllowed) {
  MappedPages pages(uffd(), PageCount(1));
  EXPECT_EQ(Zero(pages.range(0, 0)).error, EINVAL);
}

}  // namespace
}  // namespace pagelift
