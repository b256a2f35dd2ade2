// A target that ends, or becomes another program, at the worst moment: nothing
// is reported, nothing hangs, and the next operation tells.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

class ProcessEndTest : public UffdTest {
 protected:
  ProcessEndTest() : UffdTest(kLayoutEvents | kOperations) {}

  UserfaultFd WaitForChild() const {
    return uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  }
  static bool NothingIsQueued(const UserfaultFd& of) {
    EventBuffer buffer;
    auto events = of.ReadEvents(buffer);
    return events.ok() && events->empty();
  }
};

TEST_F(ProcessEndTest, KilledWhileItWaitsForAPage) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process([at = pages.data()] { return static_cast<int>(*at); });
  const UserfaultFd child = WaitForChild();
  const pid_t pid = process.pid();
  process.Run();
  EXPECT_EQ(WaitFor<PageFault>(child).page, pages.at(0));
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_EQ(process.ExitCode(), -1);
  EXPECT_EQ(child.Copy(pages.at(0), Pattern(1, 7), WakeMode::kWake).outcome,
            Outcome::kTargetGone);
  EXPECT_TRUE(NothingIsQueued(child));
}

TEST_F(ProcessEndTest, KilledWhileItsEventWaits) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process(
      [at = pages.data()] { return madvise(at, kPageSize, MADV_DONTNEED); });
  const UserfaultFd child = WaitForChild();
  const pid_t pid = process.pid();
  process.Run();
  ASSERT_TRUE(WaitUntilReadable(child));
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_EQ(process.ExitCode(), -1);
  EXPECT_TRUE(NothingIsQueued(child));
  EXPECT_EQ(child.Zero(pages.range(), WakeMode::kWake).outcome,
            Outcome::kTargetGone);
}

TEST_F(ProcessEndTest, ExitIsNotReported) {
  MappedPages pages(uffd(), PageCount(1));
  ForkedChild process;
  const UserfaultFd child = WaitForChild();
  process.Run();
  ASSERT_EQ(process.ExitCode(), 0);
  EXPECT_TRUE(NothingIsQueued(child));
}

TEST_F(ProcessEndTest, AnotherProgramHasAnotherAddressSpace) {
  MappedPages pages(uffd(), PageCount(1));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  ForkedChild process([] {
    execl("/bin/sleep", "sleep", "1000", nullptr);
    return 1;
  });
  const UserfaultFd child = WaitForChild();
  const pid_t pid = process.pid();
  writing.reset();
  process.Run();
  char byte;
  ASSERT_EQ(read(reading.get(), &byte, 1), 0) << "closed as it executes";
  EXPECT_EQ(child.Copy(pages.at(0), Pattern(1, 7), WakeMode::kWake).outcome,
            Outcome::kTargetGone);
  EXPECT_EQ(kill(pid, 0), 0) << "it is still there";
  EXPECT_TRUE(NothingIsQueued(child));
}

TEST_F(ProcessEndTest, SpawningIsNotAFork) {
  MappedPages pages(uffd(), PageCount(1));
  char name[] = "true";
  char* arguments[] = {name, nullptr};
  pid_t pid = -1;
  ASSERT_EQ(
      posix_spawn(&pid, "/bin/true", nullptr, nullptr, arguments, nullptr), 0);
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(NothingIsQueued(uffd()));
}

TEST_F(ProcessEndTest, ClosingTheLastDescriptorTurnsWhatIsMissingIntoZeros) {
  MappedPages pages(PageCount(2));
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  FaultingThread thread = FaultingThread::StartRead(pages.data(0));
  WaitFor<PageFault>(uffd());
  Close();
  EXPECT_EQ(thread.Result(), 0);
  EXPECT_EQ(ReadByte(pages.data(1)), 0);
}

TEST_F(ProcessEndTest, AnotherDescriptorKeepsThemMissing) {
  MappedPages pages(PageCount(1));
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  FaultingThread thread = FaultingThread::StartRead(pages.data());
  WaitFor<PageFault>(uffd());
  ASSERT_TRUE(thread.WaitUntilBlocked());
  ASSERT_OK_AND_ASSIGN(
      UserfaultFd kept,
      UserfaultFd::Adopt(UniqueFd(fcntl(uffd().fd(), F_DUPFD_CLOEXEC, 0))));
  Close();
  EXPECT_TRUE(thread.is_blocked());
  // A fault that was read once is not reported again by itself.
  EXPECT_TRUE(NothingIsQueued(kept));
  ASSERT_OK(kept.Wake(pages.range()));
  EXPECT_EQ(WaitFor<PageFault>(kept).page, pages.at(0));
  kept.Copy(pages.at(0), Pattern(1, 7), WakeMode::kWake);
  EXPECT_EQ(thread.Result(), 7);
  ASSERT_OK(kept.Unregister(pages.range()));
}

}  // namespace
}  // namespace pagelift
