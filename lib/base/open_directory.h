#ifndef PAGELIFT_LIB_BASE_OPEN_DIRECTORY_H_
#define PAGELIFT_LIB_BASE_OPEN_DIRECTORY_H_

#include <fcntl.h>

#include <string>

#include "absl/status/statusor.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Opens a directory, for what is to be done in it by its descriptor.
inline absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open ", path);
  return fd;
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_OPEN_DIRECTORY_H_
