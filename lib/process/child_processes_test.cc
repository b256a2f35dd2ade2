#include "lib/process/child_processes.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// A child that waits until this goes out of scope.
class WaitingChild {
 public:
  WaitingChild() : pid_(fork()) {
    while (pid_ == 0) pause();
  }
  ~WaitingChild() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

TEST(ChildProcessesTest, ListsTheChildrenOfAllThreads) {
  WaitingChild ours;
  pid_t theirs = 0;
  std::thread other([&] {
    WaitingChild child;
    theirs = child.pid();
    EXPECT_THAT(ChildrenOf(getpid()), Contains(ours.pid()));
    EXPECT_THAT(ChildrenOf(getpid()), Contains(theirs));
  });
  other.join();
  EXPECT_THAT(ChildrenOf(getpid()), Not(Contains(theirs)));
  EXPECT_THAT(ChildrenOf(ours.pid()), IsEmpty());
}

TEST(ChildProcessesTest, ATreeStartsWithItsRoot) {
  WaitingChild child;
  EXPECT_THAT(TreeOf(getpid()), ElementsAre(getpid(), child.pid()));
  EXPECT_THAT(TreeOf(child.pid()), ElementsAre(child.pid()));
}

TEST(ChildProcessesTest, AForkedChildHasMemoryOfItsOwn) {
  WaitingChild child;
  EXPECT_FALSE(ShareMemory(getpid(), child.pid()));
  EXPECT_TRUE(ShareMemory(getpid(), getpid()));
}

TEST(ChildProcessesTest, AClonedChildMayShareMemory) {
  alignas(16) static std::array<char, 1 << 16> stack;
  const pid_t child = clone(
      [](void*) {
        while (true) pause();
        return 0;
      },
      stack.data() + stack.size(), CLONE_VM | SIGCHLD, nullptr);
  ASSERT_GT(child, 0);
  EXPECT_TRUE(ShareMemory(getpid(), child));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(ShareMemory(getpid(), child));
}

}  // namespace
}  // namespace pagelift
