// UserfaultFd::Poison() against the running kernel: what it refuses, how far it
// gets, and what poison outlives: the promise that a lost page is never zero.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/guard_pages.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Backing = MappedPages::Backing;
using Outcome = InstallResult::Outcome;

class PoisonOutcomesTest : public UffdTest {
 protected:
  InstallResult Poison(PageRange range) const {
    return uffd().Poison(range, WakeMode::kWake);
  }
  static bool IsPoisoned(const MappedPages& pages, uint64_t index) {
    return ReadByte(pages.data(index)) == std::nullopt;
  }
};

TEST_F(PoisonOutcomesTest, KeepsAPresentPage) {
  MappedPages pages(uffd(), PageCount(1));
  Copy(pages.at(0), 1);
  EXPECT_EQ(Poison(pages.range()).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(ReadByte(pages.data()), 7);
}

TEST_F(PoisonOutcomesTest, KeepsAWriteProtectMarker) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  uffd().WriteProtect(pages.range());
  EXPECT_EQ(Poison(pages.range()).outcome, Outcome::kAlreadyPresent);
  EXPECT_TRUE(pages.IsWriteProtected(0));
}

TEST_F(PoisonOutcomesTest, KeepsAGuard) {
  MappedPages pages(uffd(), PageCount(1));
  InstallGuard(pages.range());
  EXPECT_EQ(Poison(pages.range()).outcome, Outcome::kAlreadyPresent);
  EXPECT_TRUE(IsGuarded(pages.at(0)));
}

TEST_F(PoisonOutcomesTest, StopsAtTheFirstPresentPageAndWakesThoseBefore) {
  MappedPages pages(uffd(), PageCount(4));
  Copy(pages.at(2), 1);
  FaultingThread first = FaultingThread::StartRead(pages.data(1));
  FaultingThread last = FaultingThread::StartRead(pages.data(3));
  ASSERT_EQ(WaitForEvents(uffd(), 2).size(), 2u);
  const InstallResult result = Poison(pages.range());
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(2));
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(first.Result(), std::nullopt);
  EXPECT_EQ(Poison(pages.range(2, 2)).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(Sleepers(), 1u);
  EXPECT_EQ(Poison(pages.range(3, 1)).outcome, Outcome::kInstalled);
  EXPECT_EQ(last.Result(), std::nullopt);
  EXPECT_EQ(ReadByte(pages.data(2)), 7);
}

TEST_F(PoisonOutcomesTest, CanLeaveThoseWhoWaitAsleep) {
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  ASSERT_EQ(uffd().Poison(pages.range(), WakeMode::kLeaveAsleep).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Wake(pages.range()));
  EXPECT_EQ(thread.Result(), std::nullopt);
}

TEST_F(PoisonOutcomesTest, OutsideWhatIsRegisteredOrAcrossMappings) {
  MappedPages pages(uffd(), PageCount(3));
  ASSERT_EQ(mprotect(pages.data(1), 2 * kPageSize, PROT_READ), 0);
  EXPECT_EQ(Poison(pages.range(0, 2)).outcome, Outcome::kRangeGone);
  ASSERT_OK(uffd().Unregister(pages.range(2, 1)));
  EXPECT_EQ(Poison(pages.range(2, 1)).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Poison({PageId(16), PageCount(1)}).outcome, Outcome::kRangeGone);
  EXPECT_EQ(Poison(pages.range(0, 0)).error, EINVAL);
}

TEST_F(PoisonOutcomesTest, HidesThePageOfASharedFile) {
  MappedPages pages(uffd(), PageCount(1), FaultKind::kMissing,
                    Backing::kSharedFile);
  ASSERT_EQ(pwrite(pages.file(), "x", 1, 0), 1);
  EXPECT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_TRUE(IsPoisoned(pages, 0));
  // In this mapping only.
  char byte = 0;
  ASSERT_EQ(pread(pages.file(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(PoisonOutcomesTest, OutlivesTheDescriptor) {
  MappedPages pages(PageCount(2));
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  ASSERT_TRUE(thread.WaitUntilBlocked());
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  Close();
  EXPECT_EQ(thread.Result(), std::nullopt);
  EXPECT_TRUE(IsPoisoned(pages, 1));
}

// Where no memory failures are handled the signal says BUS_ADRERR.
bool IsPoisonCode(int code) {
  return code == BUS_ADRERR || code == BUS_MCEERR_AR;
}

TEST_F(PoisonOutcomesTest, IsInheritedAndTheSignalSaysWhere) {
  MappedPages pages(uffd(), PageCount(2));
  ASSERT_EQ(Poison(pages.range(1, 1)).outcome, Outcome::kInstalled);
  static const std::byte* poisoned;
  poisoned = pages.data(1);
  ForkedChild process([] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      _exit(info->si_addr == poisoned && IsPoisonCode(info->si_code) ? 42 : 1);
    };
    sigaction(SIGBUS, &action, nullptr);
    return static_cast<int>(*const_cast<const volatile std::byte*>(poisoned));
  });
  process.Run();
  EXPECT_EQ(process.ExitCode(), 42);
  EXPECT_TRUE(IsPoisoned(pages, 1));
}

TEST_F(PoisonOutcomesTest, MovesWithItsMapping) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages to(PageCount(1));
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  ASSERT_EQ(mremap(pages.data(), kPageSize, kPageSize,
                   MREMAP_MAYMOVE | MREMAP_FIXED, to.data()),
            to.data());
  EXPECT_TRUE(IsPoisoned(to, 0));
}

TEST_F(PoisonOutcomesTest, OutlivesWriteProtection) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  EXPECT_TRUE(IsPoisoned(pages, 0));
  EXPECT_EQ(uffd().Unprotect(pages.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_TRUE(IsPoisoned(pages, 0));
}

TEST_F(PoisonOutcomesTest, GoesWithTheContents) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  ASSERT_EQ(madvise(pages.data(), kPageSize, MADV_DONTNEED), 0);
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
  Copy(pages.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(PoisonOutcomesTest, GoesWithTheMapping) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  ASSERT_EQ(mmap(pages.data(), kPageSize, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            pages.data());
  EXPECT_EQ(ReadByte(pages.data()), 0);
}

TEST_F(PoisonOutcomesTest, SystemCallsFailWhereTheProgramWouldGetASignal) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(Poison(pages.range()).outcome, Outcome::kInstalled);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  EXPECT_EQ(write(writing.get(), pages.data(), 1), -1);
  EXPECT_EQ(errno, EFAULT);
  ASSERT_EQ(write(writing.get(), "x", 1), 1);
  EXPECT_EQ(read(reading.get(), pages.data(), 1), -1);
  EXPECT_EQ(errno, EFAULT);

  char byte;
  const iovec to = {&byte, 1};
  const iovec from = {pages.data(), 1};
  EXPECT_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), -1);
  EXPECT_EQ(errno, EFAULT);
  UniqueFd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(memory.valid());
  EXPECT_EQ(
      pread(memory.get(), &byte, 1, static_cast<off_t>(AddressOf(pages.at(0)))),
      -1);
  EXPECT_EQ(errno, EIO);
  // Not mlock(3): a sanitizer makes it do nothing.
  EXPECT_EQ(syscall(SYS_mlock, pages.data(), kPageSize), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(madvise(pages.data(), kPageSize, MADV_POPULATE_READ), -1);
  EXPECT_EQ(errno, EHWPOISON);
}

}  // namespace
}  // namespace pagelift
