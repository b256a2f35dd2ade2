#include "daemon/pager/journal/descriptor_kind.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace pagelift {
namespace {

// What /proc tells; empty if it is not open.
std::string WhatIs(int fd) {
  char target[64];
  const std::string path = absl::StrCat("/proc/thread-self/fd/", fd);
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  return std::string(target, length < 0 ? 0 : static_cast<size_t>(length));
}

}  // namespace

bool IsUserfaultFd(int fd) { return WhatIs(fd) == "anon_inode:[userfaultfd]"; }

bool IsSocket(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode);
}

bool IsPidFdOf(int fd, pid_t pid) {
  if (fd < 0) return false;
  std::ifstream info(absl::StrCat("/proc/thread-self/fdinfo/", fd));
  std::string line;
  const std::string wanted = absl::StrCat("Pid:\t", pid);
  while (std::getline(info, line)) {
    if (line == wanted) return true;
  }
  return false;
}

bool IsMemory(int fd, const char* name) {
  return absl::StartsWith(WhatIs(fd), absl::StrCat("/memfd:", name));
}

std::string BoundTo(int fd) {
  sockaddr_un address = {};
  socklen_t size = sizeof(address);
  if (fd < 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sun_family != AF_UNIX ||
      size <= offsetof(sockaddr_un, sun_path)) {
    return "";
  }
  return std::string(
      address.sun_path,
      strnlen(address.sun_path, size - offsetof(sockaddr_un, sun_path)));
}

}  // namespace pagelift
