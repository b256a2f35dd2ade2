#ifndef PAGELIFT_LIB_BASE_WRITE_ALL_H_
#define PAGELIFT_LIB_BASE_WRITE_ALL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "lib/base/byte_span.h"

namespace pagelift {

// write(2), until all of `bytes` are written. The error does not name the file.
absl::Status WriteAll(int fd, ByteSpan bytes);
inline absl::Status WriteAll(int fd, absl::string_view text) {
  return WriteAll(fd, BytesOf(text));
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_WRITE_ALL_H_
