#ifndef PAGELIFT_LIB_BASE_WRITE_ALL_H_
#define PAGELIFT_LIB_BASE_WRITE_ALL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// write(2), until all of `bytes` are written. The error does not name the file.
absl::Status WriteAll(int fd, absl::string_view bytes);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_WRITE_ALL_H_
