#include "lib/process/fd_listener.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/unix_address.h"

namespace pagelift {
namespace {

constexpr int kSocketType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

// Removes the socket at `path` if nobody listens at it.
absl::Status RemoveStale(const std::string& path, const UnixAddress& address) {
  struct stat file;
  if (lstat(path.c_str(), &file) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SysError("stat ", path);
  }
  if (!S_ISSOCK(file.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is there and is no socket"));
  }
  UniqueFd probe(socket(AF_UNIX, kSocketType, 0));
  if (!probe.valid()) return SysError("socket");
  if (connect(probe.get(), address.get(), address.size()) == 0 ||
      errno == EAGAIN) {
    return absl::AlreadyExistsError(
        absl::StrCat("somebody listens at ", path, " already"));
  }
  if (errno != ECONNREFUSED) return SysError("connect to ", path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return SysError("remove the stale socket ", path);
  }
  return absl::OkStatus();
}

}  // namespace

FdListener::FdListener(UniqueFd socket, std::string path)
    : socket_(std::move(socket)), path_(std::move(path)) {}

FdListener::~FdListener() {
  if (socket_.valid()) unlink(path_.c_str());
}

absl::StatusOr<FdListener> FdListener::Listen(const std::string& path) {
  ASSIGN_OR_RETURN(UnixAddress address, UnixAddress::Of(path));
  RETURN_IF_ERROR(RemoveStale(path, address));
  UniqueFd fd(socket(AF_UNIX, kSocketType, 0));
  if (!fd.valid()) return SysError("socket");
  // bind(2) gives the file the mode of the socket: there is no moment at which
  // others could connect.
  if (fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return SysError("fchmod");
  if (bind(fd.get(), address.get(), address.size()) != 0) {
    const int error = errno;
    const bool unwritable = error == EACCES || error == EROFS || error == EPERM;
    return SysErrorOf(error, "listen at ", path,
                      unwritable ? ": we may not write to its directory" : "");
  }
  FdListener listener(std::move(fd), path);
  if (listen(listener.fd(), SOMAXCONN) != 0) return SysError("listen ", path);
  return listener;
}

absl::Status FdListener::SetPassCredentials() const {
  const int on = 1;
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) !=
      0) {
    return SysError("setsockopt SO_PASSCRED");
  }
  return absl::OkStatus();
}

absl::StatusOr<FdChannel> FdListener::Accept(Wait wait) const {
  while (true) {
    UniqueFd fd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd.valid()) return FdChannel(std::move(fd));
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN) return SysError("accept at ", path_);
    if (wait == Wait::kDontWait) {
      return absl::UnavailableError("nobody wants to connect");
    }
    pollfd connection = {socket_.get(), POLLIN, 0};
    if (poll(&connection, 1, -1) < 0 && errno != EINTR) {
      return SysError("poll ", path_);
    }
  }
}

}  // namespace pagelift
