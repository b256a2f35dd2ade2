#ifndef PAGELIFT_LIB_BASE_SYS_ERROR_H_
#define PAGELIFT_LIB_BASE_SYS_ERROR_H_

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pagelift {

// The Status of errno `error`, with what was being done: "open /x: No such file
// or directory". The code follows absl::ErrnoToStatus.
template <typename... Args>
absl::Status SysErrorOf(int error, const Args&... what) {
  return absl::ErrnoToStatus(error, absl::StrCat(what...));
}

// The same of the calling thread's errno, which is read before anything else.
template <typename... Args>
absl::Status SysError(const Args&... what) {
  int error = errno;
  return SysErrorOf(error, what...);
}

// `status` with `context: ` before its message and the same code.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_SYS_ERROR_H_
