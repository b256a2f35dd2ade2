#ifndef PAGELIFT_LIB_BASE_READ_FILE_H_
#define PAGELIFT_LIB_BASE_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace pagelift {

// All of a file, also of one whose size is not known before, as in /proc. An
// error in its midst is an error, and not its end.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_READ_FILE_H_
