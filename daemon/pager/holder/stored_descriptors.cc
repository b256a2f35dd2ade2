#include "daemon/pager/holder/stored_descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pagelift {
namespace {

constexpr int kFirstGiven = 3;  // SD_LISTEN_FDS_START

// The number that follows `prefix` in the name [text, limit); -1: none does.
int NumberAfter(const char* prefix, const char* text, const char* limit) {
  const size_t length = strlen(prefix);
  if (limit - text <= static_cast<ptrdiff_t>(length) ||
      strncmp(text, prefix, length) != 0) {
    return -1;
  }
  char* end;
  const long number = strtol(text + length, &end, 10);
  return end == limit && number >= kFirstGiven && number < (1 << 30)
             ? static_cast<int>(number)
             : -1;
}

// As many as we may have: our predecessor's worker may have had them.
void RaiseLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

// To another number, not below `least`.
void Move(Given::Descriptor& descriptor, int least) {
  const int to = fcntl(descriptor.now, F_DUPFD_CLOEXEC, least);
  if (to < 0) return;
  close(descriptor.now);
  descriptor.now = to;
}

}  // namespace

Given TakeGiven() {
  Given given;
  const char* const pid = getenv("LISTEN_PID");
  const char* const count_text = getenv("LISTEN_FDS");
  const char* name = getenv("LISTEN_FDNAMES");
  const int count = pid == nullptr || count_text == nullptr ||
                            strtol(pid, nullptr, 10) != getpid()
                        ? 0
                        : atoi(count_text);
  if (name == nullptr) name = "";
  for (int i = 0; i < count; ++i) {
    Given::Descriptor descriptor;
    descriptor.now = kFirstGiven + i;
    const char* const limit = strchrnul(name, ':');
    descriptor.home = NumberAfter(kStoredPrefix, name, limit);
    if (descriptor.home < 0) {
      descriptor.home = NumberAfter(kStoredPagePrefix, name, limit);
      descriptor.is_page = descriptor.home >= 0;
    }
    name = *limit == ':' ? limit + 1 : limit;
    if (!IsOpen(descriptor.now)) continue;
    fcntl(descriptor.now, F_SETFD, FD_CLOEXEC);
    given.descriptors.push_back(descriptor);
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    unsetenv(variable);
  }
  return given;
}

void BringHome(Given& given) {
  if (given.descriptors.empty()) return;
  RaiseLimit();
  int free = kFirstGiven + static_cast<int>(given.descriptors.size());
  for (const Given::Descriptor& d : given.descriptors) {
    free = std::max(free, d.home + 1);
  }
  // Out of the way of each other first.
  for (Given::Descriptor& d : given.descriptors) {
    if (d.now != d.home) Move(d, free);
  }
  for (Given::Descriptor& d : given.descriptors) {
    if (d.home < 0 || d.now == d.home) continue;
    if (IsOpen(d.home) || dup3(d.now, d.home, O_CLOEXEC) < 0) {
      fprintf(stderr, "pageliftd: descriptor %d cannot have its place\n",
              d.home);
      d.home = -1;
      continue;
    }
    close(d.now);
    d.now = d.home;
  }
  for (Given::Descriptor& d : given.descriptors) {
    if (d.home < 0) Move(d, kFirstGiven);
  }
}

}  // namespace pagelift
