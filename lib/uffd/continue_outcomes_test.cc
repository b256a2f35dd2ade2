// UserfaultFd::Continue() against the running kernel, and what the minor fault
// that calls for it does and does not report.

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class ContinueOutcomesTest : public UffdTest {
 protected:
  InstallResult Continue(PageRange range) const {
    return uffd().Continue(range, WakeMode::kWake);
  }
  // Through the file, as somebody would who does not map it.
  static void Fill(const MappedPages& pages, uint64_t count) {
    const auto bytes = Pattern(count, 9);
    ASSERT_EQ(pwrite(pages.file(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
};

TEST_F(ContinueOutcomesTest, WorksWhereOnlyMissingPagesAreReported) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  Fill(pages, 1);
  EXPECT_EQ(Continue(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_TRUE(pages.IsPresent(0));
}

TEST_F(ContinueOutcomesTest, PartWakesThoseWhoWaitForThatPart) {
  MappedPages pages(uffd(), PageCount(4), FaultKind::kMinor,
                    Backing::kSharedFile);
  Fill(pages, 4);
  Continue(pages.range(2, 1));
  FaultingThread first = FaultingThread::StartRead(pages.data(1));
  FaultingThread last = FaultingThread::StartRead(pages.data(3));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  const InstallResult result = Continue(pages.range());
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(2));
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(first.Result(), 9);
  Continue(pages.range(3, 1));
  EXPECT_EQ(last.Result(), 9);
}

TEST_F(ContinueOutcomesTest, RefusalsWakeNobody) {
  MappedPages pages(uffd(), PageCount(2),
                    FaultKind::kMissing | FaultKind::kMinor,
                    Backing::kSharedFile);
  Fill(pages, 1);
  FaultingThread present = FaultingThread::StartRead(pages.data(0));
  FaultingThread missing = FaultingThread::StartRead(pages.data(1));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  ASSERT_EQ(uffd().Continue(pages.range(0, 1), WakeMode::kLeaveAsleep).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(Continue(pages.range(0, 1)).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(Continue(pages.range(1, 1)).outcome, Outcome::kSourceFault);
  EXPECT_EQ(Sleepers(), 2u);
  Copy(pages.at(1), 1);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(present.Result(), 9);
  EXPECT_EQ(missing.Result(), 7);
}

TEST_F(ContinueOutcomesTest, ReplacesPoison) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMinor,
                    Backing::kSharedFile);
  Fill(pages, 1);
  ASSERT_EQ(uffd().Poison(pages.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  ASSERT_EQ(ReadByte(pages.data()), std::nullopt);
  EXPECT_EQ(Continue(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 9);
}

TEST_F(ContinueOutcomesTest, WriteProtectedNeedsTheRegistration) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMinor,
                    Backing::kSharedFile);
  Fill(pages, 1);
  EXPECT_EQ(
      uffd()
          .Continue(pages.range(), WakeMode::kWake, InstallAs::kWriteProtected)
          .error,
      EINVAL);
}

TEST_F(ContinueOutcomesTest, OutsideWhatIsRegisteredOrAcrossMappings) {
  MappedPages pages(uffd(), PageCount(3), FaultKind::kMinor,
                    Backing::kSharedFile);
  Fill(pages, 3);
  ASSERT_EQ(mprotect(pages.data(1), 2 * kPageSize, PROT_READ), 0);
  EXPECT_EQ(Continue(pages.range(0, 2)).outcome, Outcome::kRangeGone);
  ASSERT_OK(uffd().Unregister(pages.range(2, 1)));
  EXPECT_EQ(Continue(pages.range(2, 1)).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Continue({PageId(16), PageCount(1)}).outcome, Outcome::kRangeGone);
}

TEST_F(ContinueOutcomesTest, HolesAreZeroFilledUnaskedUnlessMissingIsReported) {
  MappedPages minor(uffd(), PageCount(1), FaultKind::kMinor,
                    Backing::kSharedFile);
  EXPECT_EQ(ReadByte(minor.data()), 0);
  MappedPages both(uffd(), PageCount(1),
                   FaultKind::kMissing | FaultKind::kMinor,
                   Backing::kSharedFile);
  FaultingThread thread = FaultingThread::StartRead(both.data());
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMissing);
  Copy(both.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(ContinueOutcomesTest, NothingIsNotAllowed) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMinor,
                    Backing::kSharedFile);
  EXPECT_EQ(Continue(pages.range(0, 0)).error, EINVAL);
}

}  // namespace
}  // namespace pagelift
