// UserfaultFd::Unregister() against the running kernel: what it refuses, whom
// it leaves asleep, and what it takes along.

#include <sys/mman.h>
#include <unistd.h>

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

class UnregisterOutcomesTest : public UffdTest {};

TEST_F(UnregisterOutcomesTest, WriteThatWaitsHasToBeWoken) {
  MappedPages pages(PageCount(1));
  *pages.data() = std::byte{5};
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kWriteProtect));
  uffd().WriteProtect(pages.range());
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{6});
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kWriteProtect);
  ASSERT_TRUE(writer.WaitUntilBlocked());
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_TRUE(writer.is_blocked());
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(writer.Result(), 6);
}

TEST_F(UnregisterOutcomesTest, MinorFaultThatWaitsHasToBeWoken) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMinor,
                    Backing::kSharedFile);
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  FaultingThread reader = FaultingThread::StartRead(pages.data());
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMinor);
  ASSERT_TRUE(reader.WaitUntilBlocked());
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_TRUE(reader.is_blocked());
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(reader.Result(), 'x');
}

TEST_F(UnregisterOutcomesTest, WriteThatWaitsIsWokenWhereMissingIsReportedToo) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{6});
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kWriteProtect);
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_EQ(writer.Result(), 6);
}

TEST_F(UnregisterOutcomesTest, TakesWriteProtectionAway) {
  MappedPages pages(uffd(), PageCount(2), missing_and_protect_);
  Copy(pages.at(0), 1);
  uffd().WriteProtect(pages.range());
  ASSERT_TRUE(pages.IsWriteProtected(0));
  ASSERT_TRUE(pages.IsWriteProtected(1));  // A marker.
  ASSERT_OK(uffd().Unregister(pages.range()));
  EXPECT_FALSE(pages.IsWriteProtected(0));
  EXPECT_FALSE(pages.IsWriteProtected(1));
  *pages.data(1) = std::byte{1};
  ASSERT_OK(uffd().Register(pages.range(), missing_and_protect_));
  EXPECT_FALSE(pages.IsWriteProtected(0));
}

TEST_F(UnregisterOutcomesTest, AcceptsWhatWasNeverRegistered) {
  MappedPages pages(PageCount(1));
  EXPECT_OK(uffd().Unregister(pages.range()));
}

TEST_F(UnregisterOutcomesTest, RefusesAFileThatCouldNotBeRegistered) {
  const UniqueFd file = FileOnNewFilesystem("ramfs", PageCount(1));
  Mapping mapping(PageCount(1), PROT_READ, MAP_SHARED, file.get());
  EXPECT_THAT(uffd().Unregister(mapping.range()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UnregisterOutcomesTest, RefusesNothingAndPartOfAHugePage) {
  MappedPages pages(uffd(), PageCount(1));
  EXPECT_THAT(uffd().Unregister(pages.range(0, 0)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  const UniqueFd file = FileOnNewFilesystem("hugetlbfs", kHugePage);
  Mapping huge(kHugePage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
               file.get());
  ASSERT_OK(uffd().Register(huge.range(), FaultKind::kMissing));
  EXPECT_THAT(uffd().Unregister(huge.range(0, 1)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(uffd().Unregister(huge.range()));
}

TEST_F(UnregisterOutcomesTest, OneMappingOfAnotherUserfaultfdSpoilsTheRange) {
  MappedPages pages(PageCount(2));
  ASSERT_OK(uffd().Register(pages.range(0, 1), FaultKind::kMissing));
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  ASSERT_OK(other.Register(pages.range(1, 1), FaultKind::kMissing));
  EXPECT_THAT(uffd().Unregister(pages.range()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_OK(uffd().Unregister(pages.range(0, 1)));
}

class UnregisterWithEventsTest : public UffdTest {
 protected:
  UnregisterWithEventsTest() : UffdTest(kLayoutEvents | kOperations) {}
};

TEST_F(UnregisterWithEventsTest, WorksWhileAnEventWaits) {
  MappedPages pages(uffd(), PageCount(4));
  FaultingThread remover = FaultingThread::Start(
      [at = pages.data(3)] { return madvise(at, kPageSize, MADV_DONTNEED); });
  ASSERT_TRUE(WaitUntilReadable(uffd()));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kEventPending);
  EXPECT_OK(uffd().Unregister(pages.range(0, 2)));
  EXPECT_EQ(ReadByte(pages.data(1)), 0);
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range(3, 1));
  EXPECT_EQ(remover.Result(), 0);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(2)), Registration::kRegistered);
}

}  // namespace
}  // namespace pagelift
