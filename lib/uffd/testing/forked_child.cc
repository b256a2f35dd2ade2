#include "lib/uffd/testing/forked_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "lib/base/log.h"

namespace pagelift {
namespace {

// Returns the reading end. `write_end` must be constructed already.
UniqueFd MakePipe(UniqueFd& write_end) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  write_end.reset(ends[1]);
  return UniqueFd(ends[0]);
}

// Forks, and in the child waits for a byte; ends with us if none comes.
int ForkAndRun(int read_end, int write_end, const std::function<int()>& body) {
  // Not fork(): that holds the locks of malloc while it waits, and whoever
  // reads its event in this very process would wait for them.
  const pid_t pid = _Fork();
  if (pid != 0) return pid;
  close(write_end);
  char go;
  _exit(read(read_end, &go, 1) == 1 ? body() : 255);
}

}  // namespace

ForkedChild::ForkedChild(std::function<int()> body)
    : child_end_(MakePipe(our_end_)),
      thread_(FaultingThread::Start([read_end = child_end_.get(),
                                     write_end = our_end_.get(),
                                     body = std::move(body)] {
        return ForkAndRun(read_end, write_end, body);
      })) {}

ForkedChild::~ForkedChild() {
  if (reaped_) return;
  kill(pid(), SIGKILL);
  ExitCode();
}

pid_t ForkedChild::pid() {
  if (pid_ < 0) pid_ = thread_.Result().value_or(-1);
  CHECK(pid_ > 0) << "fork failed";
  return pid_;
}

void ForkedChild::Run() { CHECK(write(our_end_.get(), "g", 1) == 1); }

int ForkedChild::ExitCode() {
  if (reaped_) return -1;
  int status = 0;
  CHECK(waitpid(pid(), &status, 0) == pid());
  reaped_ = true;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace pagelift
