// UserfaultFd::Copy() against the running kernel: what it replaces and what it
// refuses, whom it wakes, and where it can write and read from. The common
// answers are in install_test.cc.

#include <sys/mman.h>
#include <unistd.h>

#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
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

class CopyOutcomesTest : public UffdTest {};

TEST_F(CopyOutcomesTest, PresentPageWakesNobody) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  const auto bytes = Pattern(1, 7);
  ASSERT_EQ(uffd().Copy(pages.at(0), bytes, WakeMode::kLeaveAsleep).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(Copy(pages.at(0), 1, 8).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(CopyOutcomesTest, PartWakesThoseWhoWaitForThatPart) {
  MappedPages pages(uffd(), PageCount(4));
  Copy(pages.at(2), 1);
  FaultingThread first = FaultingThread::StartRead(pages.data(1));
  FaultingThread last = FaultingThread::StartRead(pages.data(3));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  EXPECT_EQ(Copy(pages.at(0), 4, 8).outcome, Outcome::kInterrupted);
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(first.Result(), 8);
  EXPECT_FALSE(last.has_ended());
  Copy(pages.at(3), 1, 9);
  EXPECT_EQ(last.Result(), 9);
}

TEST_F(CopyOutcomesTest, PartLeavesAllAsleepIfTold) {
  MappedPages pages(uffd(), PageCount(2));
  Copy(pages.at(1), 1);
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  const auto bytes = Pattern(2, 8);
  EXPECT_EQ(uffd().Copy(pages.at(0), bytes, WakeMode::kLeaveAsleep).outcome,
            Outcome::kInterrupted);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 8);
}

TEST_F(CopyOutcomesTest, RefusalsWakeNobody) {
  MappedPages pages(uffd(), PageCount(2));
  MappedPages source(PageCount(1));
  ASSERT_EQ(mprotect(source.data(), kPageSize, PROT_NONE), 0);
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(uffd()
                .Copy(pages.at(0), {source.data(), kPageSize}, WakeMode::kWake)
                .outcome,
            Outcome::kSourceFault);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_EQ(mprotect(pages.data(1), kPageSize, PROT_READ), 0);
  EXPECT_EQ(Copy(pages.at(0), 2).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Sleepers(), 1u);
  Copy(pages.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(CopyOutcomesTest, ErasesAWriteProtectMarker) {
  MappedPages pages(uffd(), PageCount(2), missing_and_protect_);
  uffd().WriteProtect(pages.range());
  ASSERT_TRUE(pages.IsWriteProtected(0));
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_FALSE(pages.IsWriteProtected(0));
  EXPECT_EQ(uffd()
                .Copy(pages.at(1), Pattern(1, 7), WakeMode::kWake,
                      InstallAs::kWriteProtected)
                .outcome,
            Outcome::kInstalled);
  EXPECT_TRUE(pages.IsWriteProtected(1));
}

TEST_F(CopyOutcomesTest, ReplacesAGuardOrKeepsIt) {
  MappedPages pages(uffd(), PageCount(3));
  InstallGuard(pages.range(1, 1));
  const InstallResult result = Copy(pages.at(1), 1);
  // Linux 6.18 replaces it; its successors know better.
  if (result.outcome == Outcome::kInstalled) {
    EXPECT_FALSE(IsGuarded(pages.at(1)));
    EXPECT_EQ(ReadByte(pages.data(1)), 7);
  } else {
    EXPECT_EQ(result.outcome, Outcome::kAlreadyPresent) << result;
    EXPECT_TRUE(IsGuarded(pages.at(1)));
  }
}

TEST_F(CopyOutcomesTest, PageOfASharedFileIsPresentThoughNotMapped) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  EXPECT_FALSE(pages.IsPresent(0));
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(ReadByte(pages.data()), 'x');
}

TEST_F(CopyOutcomesTest, FillsTheFileBehindASharedMapping) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  char byte = 0;
  ASSERT_EQ(pread(pages.file(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 7);
}

TEST_F(CopyOutcomesTest, HugePageIsPresentThroughout) {
  MappedPages pages(kHugePage + kHugePage);
  const uint64_t first = pages.FirstHugePage();
  const PageRange huge = {pages.at(first), kHugePage};
  ASSERT_EQ(madvise(pages.data(first), kHugePage.bytes(), MADV_HUGEPAGE), 0);
  *pages.data(first) = std::byte{5};
  ASSERT_TRUE(pages.IsPresent(first + 1)) << "the kernel made no huge page";
  ASSERT_OK(uffd().Register(huge, FaultKind::kMissing));
  EXPECT_EQ(Copy(pages.at(first + 1), 1).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(*pages.data(first), std::byte{5});
  ASSERT_OK(uffd().Unregister(huge));
}

TEST_F(CopyOutcomesTest, SourceNeedNotBeAligned) {
  MappedPages pages(uffd(), PageCount(1));
  auto bytes = Pattern(2, 3);
  bytes[100] = std::byte{4};
  EXPECT_EQ(
      uffd()
          .Copy(pages.at(0), absl::MakeConstSpan(bytes).subspan(100, kPageSize),
                WakeMode::kWake)
          .outcome,
      Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 4);
}

TEST_F(CopyOutcomesTest, SourceMayBeAPageThatIsNotThereYet) {
  MappedPages pages(uffd(), PageCount(1));
  UniqueFd file(memfd_create("source", MFD_CLOEXEC));
  const auto bytes = Pattern(1, 9);
  ASSERT_EQ(write(file.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(kPageSize));
  MappedPages source(PageCount(1));
  ASSERT_EQ(mmap(source.data(), kPageSize, PROT_READ, MAP_SHARED | MAP_FIXED,
                 file.get(), 0),
            source.data());
  ASSERT_FALSE(source.IsPresent(0));
  EXPECT_EQ(uffd()
                .Copy(pages.at(0), {source.data(), kPageSize}, WakeMode::kWake)
                .outcome,
            Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 9);
}

TEST_F(CopyOutcomesTest, SourceMayBeAPageThatAnotherUserfaultfdServes) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  MappedPages source(other, PageCount(1));
  FaultingThread copier = FaultingThread::Start([&] {
    return static_cast<int>(
        uffd()
            .Copy(pages.at(0), {source.data(), kPageSize}, WakeMode::kWake)
            .outcome);
  });
  EXPECT_EQ(WaitFor<PageFault>(other).page, source.at(0));
  ASSERT_EQ(other.Copy(source.at(0), Pattern(1, 6), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(copier.Result(), static_cast<int>(Outcome::kInstalled));
  EXPECT_EQ(ReadByte(pages.data()), 6);
}

TEST_F(CopyOutcomesTest, PageGetsTheProtectionOfItsMapping) {
  MappedPages pages(uffd(), PageCount(2));
  ASSERT_EQ(mprotect(pages.data(0), kPageSize, PROT_READ), 0);
  ASSERT_EQ(mprotect(pages.data(1), kPageSize, PROT_NONE), 0);
  EXPECT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_EQ(Copy(pages.at(1), 1).outcome, Outcome::kInstalled);
  EXPECT_NE(madvise(pages.data(0), kPageSize, MADV_POPULATE_WRITE), 0);
  EXPECT_NE(madvise(pages.data(1), kPageSize, MADV_POPULATE_READ), 0);
  ASSERT_EQ(mprotect(pages.data(), 2 * kPageSize, PROT_READ | PROT_WRITE), 0);
  EXPECT_EQ(ReadByte(pages.data(0)), 7);
  EXPECT_EQ(ReadByte(pages.data(1)), 7);
}

TEST_F(CopyOutcomesTest, AnyUserfaultfdOfTheAddressSpaceFillsAnyRegistration) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  EXPECT_EQ(other.Copy(pages.at(0), Pattern(1, 7), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  // But it wakes only its own.
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(CopyOutcomesTest, PrivateMappingOfAFileLeavesTheFileAlone) {
  UniqueFd file(memfd_create("file", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), kPageSize), 0);
  MappedPages pages(PageCount(1));
  ASSERT_EQ(mmap(pages.data(), kPageSize, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_FIXED, file.get(), 0),
            pages.data());
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 7);
  char byte = 1;
  ASSERT_EQ(pread(file.get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 0);
  ASSERT_OK(uffd().Unregister(pages.range()));
}

}  // namespace
}  // namespace pagelift
