#include "daemon/pager/holder/start_receiver.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "daemon/pager/holder/replace_holder.h"

namespace pagelift {
namespace {

constexpr char kProgram[] = "pagelift-server";
// As the command line's parser takes it: with what follows, and cut short.
constexpr char kFlag[] = "--accept-migrations";
constexpr size_t kShortestFlag = sizeof("--a") - 1;

bool IsAsked(int argc, char* const argv[]) {
  for (int i = 1; i < argc; ++i) {
    const size_t length = strcspn(argv[i], "=");
    if (length >= kShortestFlag && length <= strlen(kFlag) &&
        strncmp(argv[i], kFlag, length) == 0) {
      return true;
    }
  }
  return false;
}

std::string PathBesideUs() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  const std::string self(path, length < 0 ? 0 : static_cast<size_t>(length));
  const size_t slash = self.rfind('/');
  return self.substr(0, slash == std::string::npos ? 0 : slash + 1) + kProgram;
}

[[noreturn]] void BecomeReceiver(int argc, char* argv[], int ready) {
  setsid();
  // Nobody waits for it: init has it.
  if (fork() != 0) _exit(0);
  const std::string program = PathBesideUs();
  const std::string ready_fd = std::to_string(ready);
  std::vector<char*> args = {const_cast<char*>(kProgram),
                             const_cast<char*>("receive")};
  args.insert(args.end(), argv + 1, argv + argc);
  args.push_back(const_cast<char*>("--receiver-ready-fd"));
  args.push_back(const_cast<char*>(ready_fd.c_str()));
  args.push_back(nullptr);
  // Of the service manager: it is about the holder, and nobody else.
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                               "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) {
    unsetenv(variable);
  }
  // Nothing of pageliftd's, which may be userfaultfds, stays open in there.
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  fcntl(ready, F_SETFD, 0);
  execv(program.c_str(), args.data());
  fprintf(stderr, "pageliftd: %s: %s\n", program.c_str(), strerror(errno));
  _exit(127);
}

}  // namespace

bool StartReceiver(int argc, char* argv[]) {
  // One that takes another's place finds it there.
  if (!IsAsked(argc, argv) || getenv(kPageVariable) != nullptr) return true;
  int ends[2];
  if (pipe(ends) != 0) return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  const pid_t child = fork();
  if (child == 0) BecomeReceiver(argc, argv, ends[1]);
  close(ends[1]);
  if (child > 0) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  char word = 0;
  ssize_t got;
  do {
    got = read(ends[0], &word, 1);
  } while (got < 0 && errno == EINTR);
  close(ends[0]);
  return got == 1;
}

}  // namespace pagelift
