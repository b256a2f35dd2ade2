#include "daemon/pager/holder/replace_holder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "daemon/pager/holder/open_descriptors.h"

namespace pagelift {

void BecomeHolder(const char* program, char* argv[], const HolderPage& page) {
  // All of them: what is not needed the next worker closes.
  const std::vector<int> open = OpenDescriptors();
  if (open.empty()) return;
  for (int fd : open) fcntl(fd, F_SETFD, 0);
  char number[16];
  snprintf(number, sizeof(number), "%d", page.descriptor);
  setenv(kPageVariable, number, 1);
  execv(program, argv);
  const int error = errno;
  unsetenv(kPageVariable);
  errno = error;
}

}  // namespace pagelift
