#include "client/cli/programs.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr char kInstalledCriu[] = "/opt/pagelift/bin/criu";
constexpr int kPagerStartMs = 10000;

bool IsExecutable(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

std::string OnPath(const std::string& name) {
  const char* path = getenv("PATH");
  for (absl::string_view folder :
       absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(folder, "/", name);
    if (IsExecutable(candidate)) return candidate;
  }
  return "";
}

// What the child of a fork does: only system calls until exec.
[[noreturn]] void Exec(const std::vector<char*>& argv, int error_fd) {
  execvp(argv[0], argv.data());
  const int error = errno;
  ssize_t ignored = write(error_fd, &error, sizeof(error));
  (void)ignored;
  _exit(127);
}

std::vector<char*> Pointers(const std::vector<std::string>& argv) {
  std::vector<char*> pointers;
  for (const std::string& arg : argv) {
    pointers.push_back(const_cast<char*>(arg.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Replaces standard descriptor `fd` of a child by /dev/null.
void Silence(int fd) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) dup2(null, fd);
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError("pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

std::string SiblingProgram(const std::string& name) {
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (n > 0) {
    std::string path(self, static_cast<size_t>(n));
    std::string sibling =
        absl::StrCat(path.substr(0, path.rfind('/') + 1), name);
    if (IsExecutable(sibling)) return sibling;
  }
  return name;
}

absl::StatusOr<std::string> FindCriu(const std::string& asked) {
  const char* from_environment = getenv("PAGELIFT_CRIU");
  if (!asked.empty()) {
    if (IsExecutable(asked)) return asked;
    std::string found = OnPath(asked);
    if (asked.find('/') == std::string::npos && !found.empty()) return found;
    return absl::NotFoundError(
        absl::StrCat("there is no program ", asked, " (--criu)"));
  }
  if (from_environment != nullptr && *from_environment != 0) {
    if (IsExecutable(from_environment)) return std::string(from_environment);
    return absl::NotFoundError(absl::StrCat(
        "there is no program ", from_environment, " (from PAGELIFT_CRIU)"));
  }
  if (IsExecutable(kInstalledCriu)) return std::string(kInstalledCriu);
  std::string found = OnPath("criu");
  if (!found.empty()) return found;
  return absl::NotFoundError(
      "criu was not found: run tools/install_deps, or name it with --criu");
}

absl::StatusOr<int> RunProgram(const std::vector<std::string>& argv) {
  ASSIGN_OR_RETURN(Pipe error_pipe, MakePipe());
  const std::vector<char*> pointers = Pointers(argv);
  const int error_fd = error_pipe.write.get();
  const pid_t child = fork();
  if (child < 0) return SysError("fork");
  if (child == 0) {
    Silence(STDIN_FILENO);
    // CRIU keeps what it inherits, and our own signals are blocked.
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    Exec(pointers, error_fd);
  }
  error_pipe.write.reset();
  int error = 0;
  const bool not_started =
      read(error_pipe.read.get(), &error, sizeof(error)) == sizeof(error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (not_started) return SysErrorOf(error, "cannot start ", argv[0]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::Status StartPager(const std::string& socket, KeepWorkingSets keep) {
  ASSIGN_OR_RETURN(Pipe ready, MakePipe());
  // The log must not be a file that a target shares, so it is the daemon's own.
  const std::string log = absl::StrCat(socket, ".log");
  const int ready_fd = ready.write.get();
  std::vector<std::string> argv = {SiblingProgram("pageliftd"),
                                   "--control",
                                   socket,
                                   "--log-file",
                                   log,
                                   "--exit-when-idle",
                                   "60s",
                                   "--ready-fd",
                                   absl::StrCat(ready_fd)};
  if (keep == KeepWorkingSets::kYes) argv.push_back("--keep-working-sets");
  const std::vector<char*> pointers = Pointers(argv);
  const size_t slash = socket.rfind('/');
  if (slash != std::string::npos && slash > 0 &&
      mkdir(socket.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError("make directory ", socket.substr(0, slash),
                    " for the daemon's socket (--control names another)");
  }
  const pid_t child = fork();
  if (child < 0) return SysError("fork");
  if (child == 0) {
    // A session of its own, and a parent that does not wait for it.
    if (setsid() < 0 || fork() != 0) _exit(0);
    Silence(STDIN_FILENO);
    Silence(STDOUT_FILENO);
    Silence(STDERR_FILENO);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    fcntl(ready_fd, F_SETFD, 0);
    Exec(pointers, ready_fd);
  }
  ready.write.reset();
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  pollfd waiting = {ready.read.get(), POLLIN, 0};
  char word = 0;
  if (poll(&waiting, 1, kPagerStartMs) == 1 &&
      read(ready.read.get(), &word, 1) == 1 && word == '\n') {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("pageliftd could not be started; ", log, " may say why"));
}

}  // namespace pagelift
