#include "lib/base/unique_fd.h"

#include <unistd.h>

namespace pagelift {

void UniqueFd::reset(int fd) {
  // EINTR from close(2) still closes on Linux: never retry.
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

}  // namespace pagelift
