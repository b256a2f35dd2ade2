#include "lib/process/pidfd.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "lib/base/sys_error.h"

namespace pagelift {

PidFd::PidFd(UniqueFd fd, pid_t pid) : fd_(std::move(fd)), pid_(pid) {}

absl::StatusOr<PidFd> PidFd::Open(pid_t pid) {
  // Not by <sys/pidfd.h>: that of glibc 2.36 cannot be linked from C++.
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return SysError("pidfd_open ", pid);
  return PidFd(std::move(fd), pid);
}

absl::Status PidFd::Signal(int signal) const {
  if (syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) != 0) {
    return SysError("send signal ", signal, " to process ", pid_);
  }
  return absl::OkStatus();
}

absl::Status PidFd::Kill() const { return Signal(SIGKILL); }

bool PidFd::HasExited() const {
  pollfd exit = {fd_.get(), POLLIN, 0};
  int ready;
  do {
    ready = poll(&exit, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

}  // namespace pagelift
