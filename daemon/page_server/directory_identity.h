#ifndef PAGELIFT_DAEMON_PAGE_SERVER_DIRECTORY_IDENTITY_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_DIRECTORY_IDENTITY_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace pagelift {

// Which checkpoint lies in a directory, as far as can be told without reading
// it: the identity of the inventory that a dump writes last.
struct DirectoryIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t mtime_ns = 0;
  uint64_t size = 0;

  friend bool operator==(const DirectoryIdentity& a,
                         const DirectoryIdentity& b) {
    return a.device == b.device && a.inode == b.inode &&
           a.mtime_ns == b.mtime_ns && a.size == b.size;
  }

  // Of the directory that the descriptor refers to. kNotFound: it holds no
  // inventory, so no checkpoint.
  static absl::StatusOr<DirectoryIdentity> Of(int directory);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_DIRECTORY_IDENTITY_H_
