#include "lib/process/child_program.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <utility>

#include "absl/types/span.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/process/attached_fd.h"
#include "lib/process/fd_channel.h"

namespace pagelift {
namespace {

// For execvp(3), which does not change them.
std::vector<char*> Pointers(const std::vector<std::string>& argv) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (const std::string& arg : argv) {
    pointers.push_back(const_cast<char*>(arg.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// System calls only. What is sent is sent before the program is there.
bool LoadFilter(const std::vector<sock_filter>& filter, int socket) {
  const sock_fprog program = {static_cast<unsigned short>(filter.size()),
                              const_cast<sock_filter*>(filter.data())};
  const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (listener < 0) return false;
  char byte = 0;
  iovec data = {&byte, sizeof(byte)};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  const AttachedFd attached(static_cast<int>(listener), message);
  return sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof(byte);
}

absl::StatusOr<UniqueFd> ReceiveListener(const FdChannel& channel) {
  std::byte byte;
  ASSIGN_OR_RETURN(Received received,
                   channel.ReceiveWithFds(absl::MakeSpan(&byte, 1)));
  if (received.fds.size() != 1) {
    return absl::InternalError("the child has sent no listener");
  }
  return std::move(received.fds.front());
}

// The child of a fork, in which other threads' locks may be held for ever:
// system calls only.
[[noreturn]] void BecomeProgram(const std::vector<char*>& argv,
                                const ProgramStart& start, int null, int output,
                                int error_fd, int filter_fd) {
  if (start.own_session) setsid();
  dup2(null, STDIN_FILENO);
  if (output >= 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
  }
  // CRIU keeps what it inherits, and our own signals are blocked or ignored.
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  for (int fd : start.keep) fcntl(fd, F_SETFD, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  if (start.filter.empty() || LoadFilter(start.filter, filter_fd)) {
    execvp(argv[0], argv.data());
  }
  const int error = errno;
  const ssize_t ignored = write(error_fd, &error, sizeof(error));
  (void)ignored;
  _exit(127);
}

absl::StatusOr<UniqueFd> OpenOutput(const std::string& path) {
  UniqueFd fd;
  if (path.empty()) return fd;
  fd.reset(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("open ", path);
  return fd;
}

}  // namespace

absl::StatusOr<ChildProgram> ChildProgram::Start(const ProgramStart& start) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError("pipe");
  const UniqueFd error_read(ends[0]);
  UniqueFd error_write(ends[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return SysError("open /dev/null");
  ASSIGN_OR_RETURN(const UniqueFd output, OpenOutput(start.output));
  int pair[2] = {-1, -1};
  if (!start.filter.empty() &&
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return SysError("socketpair");
  }
  const FdChannel from_child{UniqueFd(pair[0])};
  UniqueFd listener_write(pair[1]);
  const std::vector<char*> argv = Pointers(start.argv);
  const pid_t child = fork();
  if (child < 0) return SysError("fork");
  if (child == 0) {
    BecomeProgram(argv, start, null.get(), output.get(), error_write.get(),
                  listener_write.get());
  }
  error_write.reset();
  listener_write.reset();
  int error = 0;
  if (read(error_read.get(), &error, sizeof(error)) == sizeof(error)) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return SysErrorOf(error, "cannot start ", start.argv[0]);
  }
  // It is ours and has not been waited for: the number is still its own.
  ASSIGN_OR_RETURN(PidFd process, PidFd::Open(child));
  UniqueFd listener;
  if (!start.filter.empty()) {
    ASSIGN_OR_RETURN(listener, ReceiveListener(from_child));
  }
  return ChildProgram(std::move(process), std::move(listener));
}

absl::StatusOr<int> ChildProgram::Wait() {
  int status = 0;
  while (waitpid(pid(), &status, 0) < 0) {
    if (errno != EINTR) return SysError("wait for process ", pid());
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::StatusOr<int> RunProgram(const ProgramStart& start) {
  ASSIGN_OR_RETURN(ChildProgram child, ChildProgram::Start(start));
  return child.Wait();
}

}  // namespace pagelift
