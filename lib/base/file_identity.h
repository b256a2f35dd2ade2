#ifndef PAGELIFT_LIB_BASE_FILE_IDENTITY_H_
#define PAGELIFT_LIB_BASE_FILE_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace pagelift {

// Which file has a name, and which version of it, as far as can be told without
// reading it: another one when it was replaced or written to.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;  // Nobody can set it back.
  uint64_t size = 0;

  friend bool operator==(const FileIdentity& a, const FileIdentity& b) {
    return a.device == b.device && a.inode == b.inode &&
           a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns &&
           a.size == b.size;
  }

  // Of `path`, in `directory` if it is relative (AT_FDCWD: where the process
  // is). The error has the code of errno.
  static absl::StatusOr<FileIdentity> Of(int directory,
                                         const std::string& path);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_FILE_IDENTITY_H_
