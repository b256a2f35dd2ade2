#include "lib/process/guard.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

namespace pagelift {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
// One that lived for so long was no victim of what killed the one before.
constexpr int64_t kLongLifeNs = kSecondNs;
constexpr int64_t kFirstPauseNs = 10'000'000;
constexpr int64_t kLongestPauseNs = 2 * kSecondNs;

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

class Guard {
 public:
  explicit Guard(absl::FunctionRef<int(const GuardedLife&)> work)
      : work_(work) {
    sigemptyset(&signals_);
    for (int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, signal);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
    life_.guard = getpid();
  }

  int Run() {
    int64_t pause = 0;
    while (true) {
      const int64_t start = NowNs();
      worker_ = Start();
      if (worker_ < 0) {
        fprintf(stderr, "pagelift: cannot start a process: %s\n",
                strerror(errno));
        if (life_.number == 0) return 1;
      } else {
        if (stop_signal_ != 0) kill(worker_, stop_signal_);
        const int status = Await();
        if (WIFEXITED(status)) return WEXITSTATUS(status);
        ++life_.number;
      }
      if (NowNs() - start >= kLongLifeNs) pause = 0;
      const timespec wait = {pause / kSecondNs, pause % kSecondNs};
      nanosleep(&wait, nullptr);
      pause = std::clamp(2 * pause, kFirstPauseNs, kLongestPauseNs);
    }
  }

 private:
  // With our descriptors, and not only copies of them.
  pid_t Start() {
    const long pid =
        syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0);
    if (pid == 0) Work();
    return static_cast<pid_t>(pid);
  }

  [[noreturn]] void Work() {
    prctl(PR_SET_NAME, program_invocation_short_name);
    int code = 1;
    // A thread of its own: to libc this one has still the guard's number.
    std::thread worker([&] {
      sigset_t ours;
      sigemptyset(&ours);
      sigaddset(&ours, SIGCHLD);
      pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
      code = work_(life_);
    });
    worker.join();
    exit(code);
  }

  int Await() {
    while (true) {
      int status;
      if (waitpid(worker_, &status, WNOHANG) == worker_) return status;
      const int signal = sigwaitinfo(&signals_, nullptr);
      if (signal == SIGTERM || signal == SIGINT) {
        stop_signal_ = signal;
        kill(worker_, signal);
      }
    }
  }

  const absl::FunctionRef<int(const GuardedLife&)> work_;
  sigset_t signals_;
  GuardedLife life_;
  pid_t worker_ = 0;
  int stop_signal_ = 0;
};

}  // namespace

int RunGuarded(const char* name,
               absl::FunctionRef<int(const GuardedLife&)> work) {
  prctl(PR_SET_NAME, name);
  return Guard(work).Run();
}

void CloseAllBut(const std::vector<int>& keep) {
  std::vector<int> sorted(keep);
  std::sort(sorted.begin(), sorted.end());
  unsigned first = 3;
  for (int fd : sorted) {
    const auto number = static_cast<unsigned>(fd);
    if (fd < 0 || number < first) continue;
    // Of the table, which is not ours alone: not CLOSE_RANGE_UNSHARE.
    if (first < number) close_range(first, number - 1, 0);
    first = number + 1;
  }
  close_range(first, ~0u, 0);
}

}  // namespace pagelift
