#include "daemon/pager/holder/open_descriptors.h"

#include <dirent.h>

#include <cstdlib>

namespace pagelift {

std::vector<int> OpenDescriptors() {
  std::vector<int> open;
  // Not /proc/self: that has none once the first thread has ended.
  DIR* const folder = opendir("/proc/thread-self/fd");
  if (folder == nullptr) return open;
  while (const dirent* entry = readdir(folder)) {
    const int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(folder)) open.push_back(fd);
  }
  closedir(folder);
  return open;
}

}  // namespace pagelift
