#include "lib/process/guard.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

// What the processes of a test and the test itself know in common.
struct Shared {
  std::atomic<int> lives;
  std::atomic<int> descriptor;
  std::atomic<int> found_open;
  std::atomic<pid_t> guard;
};

class GuardTest : public ::testing::Test {
 protected:
  GuardTest()
      : shared_(new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared()) {}

  // The guard's exit status.
  template <typename Work>
  int Run(Work work) {
    const pid_t guard = fork();
    if (guard == 0) {
      shared_->guard = getpid();
      _exit(RunGuarded("test-guard", work));
    }
    int status = 0;
    waitpid(guard, &status, 0);
    return status;
  }

  Shared* const shared_;
};

TEST_F(GuardTest, TheExitCodeIsThatOfTheWork) {
  const int status = Run([&](const GuardedLife& life) {
    return life.number == 0 && life.guard == shared_->guard ? 7 : 1;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(GuardTest, WhatOneHasOpenedTheNextOneFinds) {
  const int status = Run([&](const GuardedLife& life) {
    ++shared_->lives;
    if (life.number == 0) {
      shared_->descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
      raise(SIGKILL);
    }
    shared_->found_open = fcntl(shared_->descriptor, F_GETFD) >= 0 ? 1 : 0;
    return 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(shared_->lives, 2);
  EXPECT_EQ(shared_->found_open, 1);
}

TEST_F(GuardTest, ItMayDieSeveralTimes) {
  EXPECT_EQ(Run([&](const GuardedLife& life) {
              if (life.number < 3) raise(SIGKILL);
              return life.number == 3 ? 0 : 1;
            }),
            0);
}

TEST_F(GuardTest, ASignalIsPassedOn) {
  const int status = Run([&](const GuardedLife& life) {
    kill(life.guard, SIGTERM);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    int signal = 0;
    sigwait(&signals, &signal);
    return signal == SIGTERM ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(GuardTest, ClosesAllButWhatIsToBeKept) {
  const int status = Run([&](const GuardedLife&) {
    const int first = fcntl(0, F_DUPFD, 20);
    const int second = fcntl(0, F_DUPFD, 30);
    const int third = fcntl(0, F_DUPFD, 40);
    CloseAllBut({second, -1});
    const bool right = fcntl(first, F_GETFD) < 0 &&
                       fcntl(second, F_GETFD) >= 0 &&
                       fcntl(third, F_GETFD) < 0 && fcntl(0, F_GETFD) >= 0;
    return right ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace pagelift
