#include "daemon/migration/receiver/restorer_wait.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/eventually.h"

namespace pagelift {
namespace {

// A child that waits as CRIU's restorer does; that of real ones is looked at
// where they are restored.
class RestorerWaitTest : public ::testing::Test {
 protected:
  RestorerWaitTest()
      : word_(static_cast<std::atomic<uint32_t>*>(
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~RestorerWaitTest() override {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    munmap(word_, 4096);
  }

  // It blocks `blocked`, as the kernel has it, and waits while the word is 4.
  void Start(uint64_t blocked) {
    *word_ = 4;
    child_ = fork();
    if (child_ != 0) return;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr,
            sizeof(blocked));
    while (*word_ == 4) {
      syscall(SYS_futex, word_, FUTEX_WAIT, 4, nullptr, nullptr, 0);
    }
    while (true) pause();
  }
  bool Waits() const {
    return Eventually(
        [this] { return PlaceInRestorer(child_) == RestorerPlace::kWaiting; });
  }

  std::atomic<uint32_t>* const word_;
  pid_t child_ = 0;
};

TEST_F(RestorerWaitTest, WhoWaitsWithAllSignalsBlockedDoes) {
  Start(~uint64_t{0});
  EXPECT_TRUE(Waits());
}

TEST_F(RestorerWaitTest, WhoIsToldToGoOnDoesNotAnyMoreEvenIfNotYetWoken) {
  Start(~uint64_t{0});
  ASSERT_TRUE(Waits());
  *word_ = 5;
  EXPECT_EQ(PlaceInRestorer(child_), RestorerPlace::kInside);
  syscall(SYS_futex, word_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  EXPECT_EQ(PlaceInRestorer(child_), RestorerPlace::kInside);
}

TEST_F(RestorerWaitTest, AProgramThatBlocksWhatItMayDoesNot) {
  // What pthread_sigmask(3) leaves unblocked.
  Start(~(uint64_t{3} << 31));
  const std::string call = absl::StrCat("/proc/", child_, "/syscall");
  ASSERT_TRUE(Eventually([&call] {
    return absl::StartsWith(ReadFile(call).value_or(""),
                            absl::StrCat(SYS_futex, " "));
  }));
  EXPECT_EQ(PlaceInRestorer(child_), RestorerPlace::kLeft);
}

TEST_F(RestorerWaitTest, AProgramThatRunsOrHasEndedDoesNot) {
  EXPECT_EQ(PlaceInRestorer(getpid()), RestorerPlace::kLeft);
  child_ = fork();
  if (child_ == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(PlaceInRestorer(child_), RestorerPlace::kLeft);
}

}  // namespace
}  // namespace pagelift
