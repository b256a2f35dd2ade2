#include "lib/base/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SysError("open ", path);
  std::string text;
  constexpr size_t kPiece = 1 << 16;
  while (true) {
    const size_t before = text.size();
    text.resize(before + kPiece);
    const ssize_t length = read(file.get(), &text[before], kPiece);
    if (length < 0 && errno != EINTR) return SysError("read ", path);
    text.resize(before + static_cast<size_t>(std::max<ssize_t>(length, 0)));
    if (length == 0) return text;
  }
}

}  // namespace pagelift
