// UserfaultFd::WriteProtect() and Unprotect() against the running kernel: what
// they do to pages in every state, and what an error leaves behind.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/detached_filesystem.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/mapping.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class WriteProtectOutcomesTest : public UffdTest {};

TEST_F(WriteProtectOutcomesTest, ErrorLeavesThePartBeforeItChanged) {
  MappedPages pages(uffd(), PageCount(3), missing_and_protect_);
  Copy(pages.at(0), 3);
  ASSERT_OK(uffd().Unregister(pages.range(1, 1)));
  const InstallResult result = uffd().WriteProtect(pages.range());
  EXPECT_EQ(result.outcome, Outcome::kRangeGone) << result;
  EXPECT_EQ(result.installed, PageCount(0));
  EXPECT_TRUE(pages.IsWriteProtected(0));
  EXPECT_FALSE(pages.IsWriteProtected(2));
}

TEST_F(WriteProtectOutcomesTest, NothingMapped) {
  EXPECT_EQ(uffd().WriteProtect({PageId(16), PageCount(1)}).outcome,
            Outcome::kRangeGone);
  EXPECT_EQ(
      uffd().Unprotect({PageId(16), PageCount(1)}, WakeMode::kWake).outcome,
      Outcome::kRangeGone);
}

TEST_F(WriteProtectOutcomesTest, NothingIsNotAllowed) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  EXPECT_EQ(uffd().WriteProtect(pages.range(0, 0)).error, EINVAL);
}

TEST_F(WriteProtectOutcomesTest, PartOfAHugePage) {
  const UniqueFd file = FileOnNewFilesystem("hugetlbfs", kHugePage);
  Mapping huge(kHugePage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
               file.get());
  ASSERT_OK(uffd().Register(huge.range(), missing_and_protect_));
  EXPECT_EQ(uffd().WriteProtect(huge.range(0, 1)).error, EINVAL);
  EXPECT_EQ(uffd().WriteProtect(huge.range()).outcome, Outcome::kInstalled);
}

TEST_F(WriteProtectOutcomesTest, MarkerOfAMissingPageReportsTheWriteLater) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  ASSERT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_TRUE(pages.IsWriteProtected(0));
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{4});
  const PageFault fault = WaitFor<PageFault>(uffd());
  EXPECT_EQ(fault.kind, FaultKind::kMissing);
  EXPECT_TRUE(fault.is_write);
  const auto bytes = Pattern(1, 7);
  uffd().Copy(pages.at(0), bytes, WakeMode::kWake, InstallAs::kWriteProtected);
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kWriteProtect);
  uffd().Unprotect(pages.range(), WakeMode::kWake);
  EXPECT_EQ(writer.Result(), 4);
}

TEST_F(WriteProtectOutcomesTest, ProtectingWakesNobody) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{4});
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_EQ(Sleepers(), 1u);
  uffd().Unprotect(pages.range(), WakeMode::kWake);
  EXPECT_EQ(writer.Result(), 4);
}

TEST_F(WriteProtectOutcomesTest, SystemCallThatWritesIsReportedToo) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  ASSERT_EQ(write(writing.get(), "x", 1), 1);
  FaultingThread reader =
      FaultingThread::Start([at = pages.data(), fd = reading.get()] {
        return static_cast<int>(read(fd, at, 1));
      });
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kWriteProtect);
  uffd().Unprotect(pages.range(), WakeMode::kWake);
  EXPECT_EQ(reader.Result(), 1);
  EXPECT_EQ(*pages.data(), std::byte{'x'});
}

TEST_F(WriteProtectOutcomesTest, DroppedContentsTakeTheProtectionAlong) {
  MappedPages anonymous(uffd(), PageCount(1), missing_and_protect_);
  Copy(anonymous.at(0), 1);
  uffd().WriteProtect(anonymous.range());
  ASSERT_EQ(madvise(anonymous.data(), kPageSize, MADV_DONTNEED), 0);
  EXPECT_FALSE(anonymous.IsWriteProtected(0));
  // The file still has the contents, so here it has to stay.
  MappedPages shared(uffd(), PageCount(1), missing_and_protect_,
                     Backing::kSharedFile);
  Copy(shared.at(0), 1);
  uffd().WriteProtect(shared.range());
  ASSERT_EQ(madvise(shared.data(), kPageSize, MADV_DONTNEED), 0);
  EXPECT_FALSE(shared.IsPresent(0));
  EXPECT_TRUE(shared.IsWriteProtected(0));
}

TEST_F(WriteProtectOutcomesTest, WriteThroughTheFileIsNotReported) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_,
                    Backing::kSharedFile);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  EXPECT_EQ(ReadByte(pages.data()), 'x');
  EXPECT_TRUE(pages.IsWriteProtected(0));
}

class WriteProtectPopulatedTest : public UffdTest {
 protected:
  WriteProtectPopulatedTest()
      : UffdTest(kOperations - Feature::kWpUnpopulated) {}
};

TEST_F(WriteProtectPopulatedTest, MissingPagesAreNotProtected) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kWriteProtect);
  EXPECT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_FALSE(pages.IsWriteProtected(0));
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{4});
  EXPECT_EQ(writer.Result(), 4);
}

class WriteProtectAsyncTest : public UffdTest {
 protected:
  WriteProtectAsyncTest() : UffdTest(kOperations | Feature::kWpAsync) {}
};

TEST_F(WriteProtectAsyncTest, WriteTakesTheProtectionAwayAndWaitsForNobody) {
  MappedPages pages(uffd(), PageCount(2), FaultKind::kWriteProtect);
  *pages.data(0) = std::byte{1};
  EXPECT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_TRUE(pages.IsWriteProtected(0));
  EXPECT_TRUE(pages.IsWriteProtected(1));
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(0), std::byte{4});
  EXPECT_EQ(writer.Result(), 4);
  EXPECT_FALSE(pages.IsWriteProtected(0));
  EXPECT_TRUE(pages.IsWriteProtected(1));
}

}  // namespace
}  // namespace pagelift
