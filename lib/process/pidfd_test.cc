#include "lib/process/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

// A child that waits for a signal.
class PidFdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    child_ = fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      while (true) pause();
    }
  }
  void TearDown() override {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    Reap();
  }
  void Reap() {
    waitpid(child_, nullptr, 0);
    child_ = 0;
  }

  pid_t child_ = 0;
};

TEST_F(PidFdTest, RunningProcessHasNotExited) {
  ASSERT_OK_AND_ASSIGN(PidFd process, PidFd::Open(child_));
  EXPECT_FALSE(process.HasExited());
  EXPECT_EQ(process.pid(), child_);
  EXPECT_EQ(fcntl(process.fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(PidFdTest, KilledProcessHasExitedEvenBeforeItIsReaped) {
  ASSERT_OK_AND_ASSIGN(PidFd process, PidFd::Open(child_));
  ASSERT_EQ(kill(child_, SIGTERM), 0);
  pollfd exit = {process.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&exit, 1, 20000), 1);
  EXPECT_TRUE(process.HasExited());
  Reap();
  EXPECT_TRUE(process.HasExited());
}

TEST_F(PidFdTest, SendsASignalToThatProcessOnly) {
  ASSERT_OK_AND_ASSIGN(PidFd process, PidFd::Open(child_));
  ASSERT_OK(process.Signal(SIGSTOP));
  int status = 0;
  ASSERT_EQ(waitpid(child_, &status, WUNTRACED), child_);
  EXPECT_TRUE(WIFSTOPPED(status));
  ASSERT_OK(process.Kill());
  Reap();
  EXPECT_THAT(process.Signal(SIGCONT), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PidFdTest, OpenRefusesWhatIsNoProcess) {
  const pid_t gone = child_;
  kill(child_, SIGKILL);
  Reap();
  EXPECT_THAT(PidFd::Open(gone), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(PidFd::Open(-1), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PidFdOfOurselvesTest, IsNotExited) {
  ASSERT_OK_AND_ASSIGN(PidFd self, PidFd::Open(getpid()));
  EXPECT_FALSE(self.HasExited());
}

}  // namespace
}  // namespace pagelift
