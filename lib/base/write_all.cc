#include "lib/base/write_all.h"

#include <unistd.h>

#include <cerrno>

#include "lib/base/sys_error.h"

namespace pagelift {

absl::Status WriteAll(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
