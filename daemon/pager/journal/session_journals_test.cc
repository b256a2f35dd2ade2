#include "daemon/pager/journal/session_journals.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "daemon/pager/holder/holder_page.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/pidfd.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

// A process with a userfaultfd; we have it, too.
class Target {
 public:
  Target() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      absl::StatusOr<UserfaultFd> uffd = UserfaultFd::Open(kLayoutEvents);
      const int number = uffd.ok() ? uffd->fd() : -1;
      while (write(ends[1], &number, sizeof(number)) > 0) pause();
      _exit(0);
    }
    int theirs = -1;
    EXPECT_EQ(read(ends[0], &theirs, sizeof(theirs)), ssize_t{sizeof(theirs)});
    close(ends[0]);
    close(ends[1]);
    absl::StatusOr<PidFd> process = PidFd::Open(pid_);
    EXPECT_OK(process);
    if (!process.ok()) return;
    fd_ = static_cast<int>(syscall(SYS_pidfd_getfd, process->fd(), theirs, 0));
  }
  ~Target() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(fd_);
  }
  int fd() const { return fd_; }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
};

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

// Closes every descriptor that no journal names, so it runs in a process of its
// own.
[[noreturn]] void TakeOverAndEnd(const Target& target) {
  const auto page = std::make_unique<HolderPage>();
  SessionJournals journals(page.get());
  journals.TakeOver();
  if (!IsOpen(target.fd())) _exit(1);
  journals.CloseLeftovers();
  if (!IsOpen(target.fd())) _exit(2);
  kill(target.pid(), SIGKILL);
  for (int i = 0; i < 1000 && IsOpen(target.fd()); ++i) {
    usleep(10'000);
    journals.CloseLeftovers();
  }
  _exit(IsOpen(target.fd()) ? 3 : 0);
}

TEST(SessionJournalsTest, WhatIsInNoJournalStaysOpenWhileItsTargetLives) {
  const Target target;
  ASSERT_LE(0, target.fd());
  EXPECT_EXIT(TakeOverAndEnd(target), ::testing::ExitedWithCode(0), "");
}

// What the holder has for a moment is not the worker's to close.
[[noreturn]] void LookWhenItMay() {
  const auto page = std::make_unique<HolderPage>();
  page->holder = getppid();
  const int momentary = dup(0);
  bool was_open = false;
  std::thread holder([&] {
    usleep(100'000);
    was_open = IsOpen(momentary) && page->worker_has_looked == 0;
    page->worker_may_look = 1;
  });
  SessionJournals(page.get()).TakeOver();
  holder.join();
  _exit(was_open && !IsOpen(momentary) && page->worker_has_looked == 1 ? 0 : 1);
}

TEST(SessionJournalsTest, LooksAtDescriptorsWhenTheHolderHasNoneForAMoment) {
  EXPECT_EXIT(LookWhenItMay(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pagelift
