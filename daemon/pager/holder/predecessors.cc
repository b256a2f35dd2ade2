#include "daemon/pager/holder/predecessors.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace pagelift {
namespace {

constexpr timespec kBetweenLooks = {0, 1'000'000};

// When it was started, in ticks since the machine was; 0: it has ended.
uint64_t StartOf(pid_t pid) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  // The second field is the name, in brackets; what comes after it is plain.
  const char* field = strrchr(text, ')');
  if (field == nullptr || field[1] == '\0' || field[2] == 'Z') return 0;
  for (int i = 2; field != nullptr && i < 22; ++i) {
    field = strchr(field + 1, ' ');
  }
  return field == nullptr ? 0 : strtoull(field, nullptr, 10);
}

}  // namespace

void SetProcess(HolderPage::Process& process, pid_t pid) {
  process.pid = pid;
  process.start = StartOf(pid);
}

int LockAgainstPredecessors(HolderPage& page, int fd) {
  // Not fd itself: the service manager has that file, too, and with it its
  // locks. This is another one of the same memory.
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const int lock = open(path, O_RDWR | O_CLOEXEC);
  if (lock < 0) return -1;
  while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      const int error = errno;
      close(lock);
      errno = error;
      return -1;
    }
    // Again and again: one that takes a dead one's place is written down, too.
    for (const HolderPage::Process& process : page.running) {
      const pid_t pid = process.pid;
      const uint64_t start = process.start;
      if (pid > 0 && start != 0 && StartOf(pid) == start) kill(pid, SIGKILL);
    }
    nanosleep(&kBetweenLooks, nullptr);
  }
  return lock;
}

}  // namespace pagelift
