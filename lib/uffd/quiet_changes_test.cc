// What changes memory, or starts an access anew, and how the running kernel
// reports it: as an event, as another fault, or not at all.

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

using Outcome = InstallResult::Outcome;

constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;

class QuietChangesTest : public UffdTest {
 protected:
  QuietChangesTest() : UffdTest(kLayoutEvents | kOperations) {}

  bool NothingIsQueued() const {
    EventBuffer buffer;
    auto events = uffd().ReadEvents(buffer);
    return events.ok() && events->empty();
  }
};

TEST_F(QuietChangesTest, SignalMakesAThreadAskAgain) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  MappedPages pages(uffd(), PageCount(1));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
    ASSERT_TRUE(thread.WaitUntilBlocked());
    ASSERT_EQ(syscall(SYS_tgkill, getpid(), thread.tid(), SIGUSR1), 0);
  }
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, pages.at(0));
  Copy(pages.at(0), 1);
  EXPECT_EQ(thread.Result(), 7);
}

TEST_F(QuietChangesTest, AdviceThatKeepsTheContents) {
  MappedPages pages(uffd(), PageCount(2));
  Copy(pages.at(0), 1);
  for (int advice :
       {MADV_COLD, MADV_PAGEOUT, MADV_SEQUENTIAL, MADV_MERGEABLE}) {
    EXPECT_TRUE(madvise(pages.data(), 2 * kPageSize, advice) == 0 ||
                errno == EINVAL)
        << advice;  // EINVAL: a kernel without that option.
    EXPECT_TRUE(NothingIsQueued()) << advice;
  }
  EXPECT_EQ(ReadByte(pages.data(0)), 7);
}

TEST_F(QuietChangesTest, FreeingIsARemoval) {
  MappedPages pages(uffd(), PageCount(1));
  Copy(pages.at(0), 1);
  FaultingThread thread = FaultingThread::Start(
      [at = pages.data()] { return madvise(at, kPageSize, MADV_FREE); });
  EXPECT_EQ(WaitFor<Removed>(uffd()).range, pages.range());
  EXPECT_EQ(thread.Result(), 0);
}

TEST_F(QuietChangesTest, MappingOverWhatIsNotRegistered) {
  MappedPages registered(uffd(), PageCount(1));
  MappedPages pages(PageCount(1));
  ASSERT_EQ(
      mmap(pages.data(), kPageSize, kReadWrite, kAnonymous | MAP_FIXED, -1, 0),
      pages.data());
  EXPECT_TRUE(NothingIsQueued());
}

TEST_F(QuietChangesTest, NeighbourIsNotRegistered) {
  MappedPages pages(PageCount(2));
  ASSERT_EQ(munmap(pages.data(1), kPageSize), 0);
  ASSERT_OK(uffd().Register(pages.range(0, 1), FaultKind::kMissing));
  ASSERT_EQ(mmap(pages.data(1), kPageSize, kReadWrite,
                 kAnonymous | MAP_FIXED_NOREPLACE, -1, 0),
            pages.data(1));
  EXPECT_EQ(uffd().Probe(pages.at(1)), Registration::kNotRegistered);
  EXPECT_EQ(ReadByte(pages.data(1)), 0);
  ASSERT_OK(uffd().Unregister(pages.range(0, 1)));
}

TEST_F(QuietChangesTest, MemoryThatIsWipedAtForkFaultsInTheChild) {
  MappedPages pages(uffd(), PageCount(1));
  Copy(pages.at(0), 1);
  ASSERT_EQ(madvise(pages.data(), kPageSize, MADV_WIPEONFORK), 0);
  ForkedChild process([at = pages.data()] { return static_cast<int>(*at); });
  const UserfaultFd child = uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  process.pid();
  process.Run();
  EXPECT_EQ(WaitFor<PageFault>(child).page, pages.at(0));
  child.Zero(pages.range(), WakeMode::kWake);
  EXPECT_EQ(process.ExitCode(), 0);
}

TEST_F(QuietChangesTest, MemoryThatIsNotForkedIsNotThereInTheChild) {
  MappedPages pages(uffd(), PageCount(2));
  ASSERT_EQ(madvise(pages.data(1), kPageSize, MADV_DONTFORK), 0);
  ForkedChild process;
  const UserfaultFd child = uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  process.pid();
  EXPECT_EQ(child.Probe(pages.at(0)), Registration::kRegistered);
  EXPECT_EQ(child.Probe(pages.at(1)), Registration::kNotRegistered);
  process.Run();
  EXPECT_EQ(process.ExitCode(), 0);
}

class WithoutEventsTest : public UffdTest {};

TEST_F(WithoutEventsTest, ChildIsNotRegistered) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process(
      [at = pages.data()] { return 3 + static_cast<int>(*at); });
  process.Run();
  EXPECT_EQ(process.ExitCode(), 3);
}

TEST_F(WithoutEventsTest, MovedMemoryIsNotRegistered) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages to(PageCount(1));
  ASSERT_EQ(mremap(pages.data(), kPageSize, kPageSize,
                   MREMAP_MAYMOVE | MREMAP_FIXED, to.data()),
            to.data());
  EXPECT_EQ(uffd().Probe(to.at(0)), Registration::kNotRegistered);
  EXPECT_EQ(ReadByte(to.data()), 0);
}

class SignalInsteadOfFaultTest : public UffdTest {
 protected:
  SignalInsteadOfFaultTest() : UffdTest(kOperations | Feature::kSigbus) {}
};

TEST_F(SignalInsteadOfFaultTest, MissingPageIsABusErrorUntilItIsInstalled) {
  MappedPages pages(uffd(), PageCount(1));
  EXPECT_EQ(ReadByte(pages.data()), std::nullopt);
  EXPECT_EQ(Sleepers(), 0u);
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 7);
}

}  // namespace
}  // namespace pagelift
