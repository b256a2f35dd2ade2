#include "daemon/pager/session/memory_owner.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

// Another process, which sleeps until a byte comes, and then does so again.
class Sleeper {
 public:
  Sleeper() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[1]);
      for (char byte; read(ends[0], &byte, 1) == 1;) {
      }
      _exit(0);
    }
    close(ends[0]);
    write_end_.reset(ends[1]);
  }
  ~Sleeper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  void Wake() const { EXPECT_EQ(write(write_end_.get(), "", 1), 1); }
  ThreadId thread() const { return {pid_, pid_}; }

 private:
  pid_t pid_;
  UniqueFd write_end_;
};

TEST(MemoryOwnerTest, FindsWhoWakes) {
  const Sleeper one, right, other;
  const std::optional<PidFd> found = FindOwner(
      [&] { right.Wake(); }, {one.thread(), right.thread(), other.thread()});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->pid(), right.thread().process);
}

TEST(MemoryOwnerTest, FindsNobodyAmongOthers) {
  const Sleeper one, right;
  EXPECT_FALSE(FindOwner([&] { right.Wake(); }, {one.thread()}).has_value());
  EXPECT_FALSE(FindOwner([&] { right.Wake(); }, {}).has_value());
}

TEST(MemoryOwnerTest, WhoIsAwakeAllTheTimeIsNotIt) {
  const Sleeper right;
  const pid_t restless = fork();
  if (restless == 0) {
    while (true) usleep(100);
  }
  EXPECT_FALSE(
      FindOwner([&] { right.Wake(); }, {{restless, restless}}).has_value());
  kill(restless, SIGKILL);
  waitpid(restless, nullptr, 0);
  // Nor is who has ended.
  EXPECT_FALSE(
      FindOwner([&] { right.Wake(); }, {{restless, restless}}).has_value());
}

}  // namespace
}  // namespace pagelift
