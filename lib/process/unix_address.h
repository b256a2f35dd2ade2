#ifndef PAGELIFT_LIB_PROCESS_UNIX_ADDRESS_H_
#define PAGELIFT_LIB_PROCESS_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// The address of a Unix socket at a path of any length. The kernel's own limit
// is 107 bytes: a longer path is reached by way of its directory, which stays
// open for as long as this lives, as /proc/self/fd/N/name.
//
// Thread-compatible.
class UnixAddress {
 public:
  // kInvalidArgument if the path is empty, holds a NUL, or its last component
  // alone is too long; kNotFound and the like if a long path's directory cannot
  // be opened.
  static absl::StatusOr<UnixAddress> Of(const std::string& path);

  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  socklen_t size() const { return sizeof(address_); }

 private:
  UnixAddress(const std::string& path, UniqueFd directory);

  sockaddr_un address_ = {};
  UniqueFd directory_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_UNIX_ADDRESS_H_
