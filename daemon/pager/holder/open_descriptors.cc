#include "daemon/pager/holder/open_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace pagelift {

bool ForEachOpenDescriptor(void (*visit)(int fd, void* with), void* with) {
  // Not /proc/self: that has none once the first thread has ended. Not
  // opendir(3): it allocates.
  const int folder =
      open("/proc/thread-self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  alignas(dirent64) char entries[4096];
  long length;
  while ((length = syscall(SYS_getdents64, folder, entries, sizeof(entries))) >
         0) {
    for (long at = 0; at < length;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      at += entry->d_reclen;
      const int fd = atoi(entry->d_name);
      if (entry->d_name[0] != '.' && fd != folder) visit(fd, with);
    }
  }
  const int error = errno;
  close(folder);
  errno = error;
  return length == 0;
}

std::vector<int> OpenDescriptors() {
  std::vector<int> open;
  const bool all = ForEachOpenDescriptor(
      [](int fd, void* list) {
        static_cast<std::vector<int>*>(list)->push_back(fd);
      },
      &open);
  return all ? open : std::vector<int>();
}

}  // namespace pagelift
