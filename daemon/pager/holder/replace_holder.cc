#include "daemon/pager/holder/replace_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pagelift {

void BecomeHolder(const char* program, char* argv[], const HolderPage& page) {
  // All of them: what is not needed the next worker closes.
  DIR* const folder = opendir("/proc/thread-self/fd");
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(folder)) continue;
    fcntl(fd, F_SETFD, 0);
  }
  closedir(folder);
  char number[16];
  snprintf(number, sizeof(number), "%d", page.descriptor);
  setenv(kPageVariable, number, 1);
  execv(program, argv);
  const int error = errno;
  unsetenv(kPageVariable);
  errno = error;
}

}  // namespace pagelift
