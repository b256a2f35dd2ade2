#ifndef PAGELIFT_LIB_PROCESS_FD_LISTENER_H_
#define PAGELIFT_LIB_PROCESS_FD_LISTENER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_channel.h"

namespace pagelift {

// A listening Unix stream socket at a path. The file is removed in the end.
//
// Thread-safe.
class FdListener {
 public:
  // Listens at `path`, of any length, for the owner of this process only (mode
  // 0600; the directory is left as it is). Replaces a socket that nobody
  // listens at any more. kAlreadyExists if somebody does, or if the file is no
  // socket.
  static absl::StatusOr<FdListener> Listen(const std::string& path);

  // Takes over one that another process has made.
  static FdListener Adopt(UniqueFd socket, std::string path) {
    return FdListener(std::move(socket), std::move(path));
  }

  FdListener(FdListener&&) = default;
  FdListener& operator=(FdListener&&) = delete;
  ~FdListener();

  // Connections accepted from now on tell who sent each message, from the
  // first.
  absl::Status SetPassCredentials() const;

  // Waits for a connection; with Wait::kDontWait, kUnavailable if there is
  // none.
  absl::StatusOr<FdChannel> Accept(Wait wait = Wait::kForData) const;

  const std::string& path() const { return path_; }
  int fd() const { return socket_.get(); }  // To poll; still ours.

 private:
  FdListener(UniqueFd socket, std::string path);

  UniqueFd socket_;
  std::string path_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_FD_LISTENER_H_
