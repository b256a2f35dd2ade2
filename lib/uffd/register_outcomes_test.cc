// UserfaultFd::Register() against the running kernel: which memory it takes,
// which it refuses, and what is then registered. Limits are in
// memory_limits_test.cc.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "gmock/gmock.h"
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

using ::testing::HasSubstr;
using Backing = MappedPages::Backing;

constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;

class RegisterOutcomesTest : public UffdTest {
 protected:
  absl::StatusCode RegisterMissing(PageRange range) const {
    return uffd().Register(range, FaultKind::kMissing).status().code();
  }
};

constexpr auto kOk = absl::StatusCode::kOk;
constexpr auto kRefused = absl::StatusCode::kInvalidArgument;

TEST_F(RegisterOutcomesTest, RefusesAFile) {
  // Of a kind that is never shared memory, as a temporary directory may be.
  const UniqueFd file = FileOnNewFilesystem("ramfs", PageCount(1));
  for (int sharing : {MAP_PRIVATE, MAP_SHARED}) {
    Mapping mapping(PageCount(1), kReadWrite, sharing, file.get());
    EXPECT_EQ(RegisterMissing(mapping.range()), kRefused) << sharing;
  }
}

TEST_F(RegisterOutcomesTest, RefusesSystemVSharedMemory) {
  const int id = shmget(IPC_PRIVATE, kPageSize, IPC_CREAT | 0600);
  ASSERT_GE(id, 0);
  void* at = shmat(id, nullptr, 0);
  ASSERT_EQ(shmctl(id, IPC_RMID, nullptr), 0);
  const PageId page = PageContaining(reinterpret_cast<uint64_t>(at));
  EXPECT_EQ(RegisterMissing({page, PageCount(1)}), kRefused);
  EXPECT_EQ(shmdt(at), 0);
}

TEST_F(RegisterOutcomesTest, RefusesSecretMemory) {
  const UniqueFd file(static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC)));
  ASSERT_TRUE(file.valid()) << "memfd_secret: errno " << errno;
  ASSERT_EQ(ftruncate(file.get(), kPageSize), 0);
  Mapping mapping(PageCount(1), kReadWrite, MAP_SHARED, file.get());
  EXPECT_EQ(RegisterMissing(mapping.range()), kRefused);
}

TEST_F(RegisterOutcomesTest, RefusesDroppableMemory) {
  constexpr int kMapDroppable = 0x08;  // Linux 6.11.
  Mapping mapping(PageCount(1), kReadWrite, kMapDroppable | MAP_ANONYMOUS);
  EXPECT_EQ(RegisterMissing(mapping.range()), kRefused);
}

TEST_F(RegisterOutcomesTest, OneUnfitMappingSpoilsTheWholeRange) {
  const UniqueFd file = FileOnNewFilesystem("ramfs", PageCount(1));
  MappedPages pages(PageCount(3));
  ASSERT_EQ(mmap(pages.data(1), kPageSize, PROT_READ, MAP_SHARED | MAP_FIXED,
                 file.get(), 0),
            pages.data(1));
  EXPECT_EQ(RegisterMissing(pages.range()), kRefused);
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(2)), Registration::kNotRegistered);
}

TEST_F(RegisterOutcomesTest,
       OneMappingOfAnotherUserfaultfdSpoilsTheWholeRange) {
  MappedPages pages(PageCount(3));
  ASSERT_OK_AND_ASSIGN(UserfaultFd other, UserfaultFd::Open(FeatureSet()));
  ASSERT_OK(other.Register(pages.range(1, 1), FaultKind::kMissing));
  EXPECT_THAT(
      uffd().Register(pages.range(), FaultKind::kMissing),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("busy")));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kNotRegistered);
}

TEST_F(RegisterOutcomesTest, RefusesPartOfAHugePage) {
  const UniqueFd file = FileOnNewFilesystem("hugetlbfs", kHugePage);
  Mapping mapping(kHugePage, kReadWrite, MAP_SHARED | MAP_NORESERVE,
                  file.get());
  EXPECT_EQ(RegisterMissing(mapping.range(0, 1)), kRefused);
  EXPECT_EQ(RegisterMissing(mapping.range(1, 511)), kRefused);
  EXPECT_EQ(RegisterMissing(mapping.range()), kOk);
}

TEST_F(RegisterOutcomesTest, TakesInaccessibleAndReadOnlyMemory) {
  for (int protection : {PROT_NONE, PROT_READ}) {
    Mapping mapping(PageCount(1), protection, kAnonymous);
    EXPECT_EQ(RegisterMissing(mapping.range()), kOk) << protection;
    EXPECT_EQ(uffd().Probe(mapping.at(0)), Registration::kRegistered);
  }
}

TEST_F(RegisterOutcomesTest, TakesPrivateMappingsOfDevZero) {
  const UniqueFd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
  Mapping mapping(PageCount(1), kReadWrite, MAP_PRIVATE, zero.get());
  EXPECT_EQ(RegisterMissing(mapping.range()), kOk);
  EXPECT_EQ(uffd().Probe(mapping.at(0)), Registration::kRegistered);
}

TEST_F(RegisterOutcomesTest, TellsExactlyWhatTheMemoryAllows) {
  const OperationSet always =
      OperationSet(Operation::kWake) | Operation::kCopy | Operation::kPoison;
  const OperationSet small = always | Operation::kZero | Operation::kMove;
  MappedPages anonymous(PageCount(1));
  EXPECT_THAT(uffd().Register(anonymous.range(), missing_and_protect_),
              IsOkAndHolds(small | Operation::kWriteProtect));
  MappedPages shared(PageCount(1), Backing::kSharedFile);
  EXPECT_THAT(uffd().Register(shared.range(), FaultKind::kMissing),
              IsOkAndHolds(small));
  EXPECT_THAT(
      uffd().Register(shared.range(), FaultKind::kMissing | FaultKind::kMinor),
      IsOkAndHolds(small | Operation::kContinue));
  const UniqueFd file = FileOnNewFilesystem("hugetlbfs", kHugePage);
  Mapping huge(kHugePage, kReadWrite, MAP_SHARED | MAP_NORESERVE, file.get());
  EXPECT_THAT(
      uffd().Register(huge.range(), missing_and_protect_ | FaultKind::kMinor),
      IsOkAndHolds(always | Operation::kWriteProtect | Operation::kContinue));
}

TEST_F(RegisterOutcomesTest, PartOfTheKindsChangesNothing) {
  MappedPages pages(uffd(), PageCount(2), missing_and_protect_);
  uffd().WriteProtect(pages.range(1, 1));
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  EXPECT_TRUE(pages.IsWriteProtected(1));
  EXPECT_EQ(uffd().WriteProtect(pages.range(0, 1)).outcome,
            InstallResult::Outcome::kInstalled);
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kWriteProtect));
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMissing);
  Copy(pages.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(RegisterOutcomesTest, WhatIsMappedIntoAHoleLaterIsNotRegistered) {
  MappedPages pages(PageCount(3));
  ASSERT_EQ(munmap(pages.data(1), kPageSize), 0);
  ASSERT_EQ(RegisterMissing(pages.range()), kOk);
  ASSERT_EQ(mmap(pages.data(1), kPageSize, kReadWrite,
                 kAnonymous | MAP_FIXED_NOREPLACE, -1, 0),
            pages.data(1));
  EXPECT_EQ(uffd().Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kNotRegistered);
  EXPECT_EQ(uffd().Probe(pages.at(2)), Registration::kRegistered);
  EXPECT_EQ(ReadByte(pages.data(1)), 0);
}

TEST_F(RegisterOutcomesTest, PresentPagesStay) {
  MappedPages pages(PageCount(1));
  *pages.data() = std::byte{5};
  ASSERT_EQ(RegisterMissing(pages.range()), kOk);
  EXPECT_EQ(ReadByte(pages.data()), 5);
  FaultingThread writer =
      FaultingThread::StartWrite(pages.data(), std::byte{6});
  EXPECT_EQ(writer.Result(), 6);
}

// Asynchronous write protection serves to track files, too.
class RegisterAsyncTest : public UffdTest {
 protected:
  RegisterAsyncTest() : UffdTest(kOperations | Feature::kWpAsync) {}
};

TEST_F(RegisterAsyncTest, TakesAFileForWriteProtectionAndNothingElse) {
  const UniqueFd file = FileOnNewFilesystem("ramfs", PageCount(1));
  Mapping mapping(PageCount(1), kReadWrite, MAP_PRIVATE, file.get());
  EXPECT_EQ(
      uffd().Register(mapping.range(), missing_and_protect_).status().code(),
      kRefused);
  EXPECT_OK(uffd().Register(mapping.range(), FaultKind::kWriteProtect));
}

TEST_F(RegisterAsyncTest, TakesMissingAndWriteProtectOfAnonymousMemory) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  FaultingThread thread =
      FaultingThread::StartWrite(pages.data(), std::byte{4});
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMissing);
  const auto bytes = Pattern(1, 7);
  uffd().Copy(pages.at(0), bytes, WakeMode::kWake, InstallAs::kWriteProtected);
  EXPECT_EQ(thread.Result(), 4);
}

}  // namespace
}  // namespace pagelift
