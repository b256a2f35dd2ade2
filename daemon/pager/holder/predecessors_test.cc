#include "daemon/pager/holder/predecessors.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

class PredecessorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(ftruncate(memory_.get(), sizeof(HolderPage)), 0);
    void* const page = mmap(nullptr, sizeof(HolderPage), PROT_READ | PROT_WRITE,
                            MAP_SHARED, memory_.get(), 0);
    ASSERT_NE(page, MAP_FAILED);
    page_ = static_cast<HolderPage*>(page);
  }
  void TearDown() override { munmap(page_, sizeof(HolderPage)); }

  // A daemon that has the lock and lives.
  pid_t StartPredecessor() {
    int ends[2];
    if (pipe(ends) != 0) return -1;
    const UniqueFd told(ends[0]);
    const UniqueFd tell(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) {
      const int lock = LockAgainstPredecessors(*page_, memory_.get());
      SetProcess(page_->running[1], getpid());
      if (write(tell.get(), &lock, 1) != 1) _exit(1);
      while (true) pause();
    }
    char byte;
    EXPECT_EQ(read(told.get(), &byte, 1), 1);
    return pid;
  }

  const UniqueFd memory_{memfd_create("page", MFD_CLOEXEC)};
  HolderPage* page_ = nullptr;
};

TEST_F(PredecessorsTest, OneThatLivesIsKilled) {
  const pid_t predecessor = StartPredecessor();
  const UniqueFd lock(LockAgainstPredecessors(*page_, memory_.get()));
  EXPECT_TRUE(lock.valid());
  int status = 0;
  EXPECT_EQ(waitpid(predecessor, &status, 0), predecessor);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(PredecessorsTest, WhoeverHasOnlyItsNumberIsNotKilled) {
  const pid_t other = fork();
  if (other == 0) {
    while (true) pause();
  }
  SetProcess(page_->running[0], other);
  page_->running[0].start = page_->running[0].start - 1;
  const pid_t predecessor = StartPredecessor();
  const UniqueFd lock(LockAgainstPredecessors(*page_, memory_.get()));
  EXPECT_TRUE(lock.valid());
  EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  waitpid(predecessor, nullptr, 0);
}

TEST_F(PredecessorsTest, WithoutOneThereIsNothingToWaitFor) {
  const UniqueFd lock(LockAgainstPredecessors(*page_, memory_.get()));
  EXPECT_TRUE(lock.valid());
}

}  // namespace
}  // namespace pagelift
