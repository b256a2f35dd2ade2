#include "daemon/pager/control/control_door.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/server_posix.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// When no descriptor is free for another connection.
constexpr absl::Duration kPauseAfterError = absl::Milliseconds(100);

absl::Status MakeDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return absl::OkStatus();
  const std::string directory = path.substr(0, slash);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError("make directory ", directory, " for the control socket");
  }
  return absl::OkStatus();
}

// Whoever else is at the other end of `fd`; nothing if he may come in.
absl::Status CheckPeer(int fd) {
  ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return SysError("getsockopt SO_PEERCRED");
  }
  if (peer.uid == 0 || peer.uid == geteuid()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("user ", peer.uid, " (process ", peer.pid,
                   ") may not control this daemon"));
}

}  // namespace

absl::StatusOr<FdListener> ControlDoor::Listen(const std::string& path,
                                               UniqueFd listener) {
  if (listener.valid()) return FdListener::Adopt(std::move(listener), path);
  RETURN_IF_ERROR(MakeDirectoryOf(path));
  return FdListener::Listen(path);
}

absl::StatusOr<std::unique_ptr<ControlDoor>> ControlDoor::Open(
    const FdListener& listener, grpc::Server& server) {
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<ControlDoor>(
      new ControlDoor(listener, server, std::move(stop)));
}

ControlDoor::ControlDoor(const FdListener& listener, grpc::Server& server,
                         UniqueFd stop)
    : listener_(listener),
      server_(server),
      stop_(std::move(stop)),
      thread_([this] { Run(); }) {}

ControlDoor::~ControlDoor() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void ControlDoor::Run() {
  NameThisThread("pl-control");
  while (true) {
    pollfd watched[] = {{stop_.get(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
    if (poll(watched, 2, -1) < 0) continue;
    if (watched[0].revents != 0) return;
    UniqueFd connection(accept4(listener_.fd(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) {
      if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) continue;
      LOG(Warning) << SysError("accept at ", listener_.path());
      absl::SleepFor(kPauseAfterError);
      continue;
    }
    const absl::Status allowed = CheckPeer(connection.get());
    if (!allowed.ok()) {
      LOG(Warning) << allowed.message();
      continue;
    }
    grpc::AddInsecureChannelFromFd(&server_, connection.release());
  }
}

}  // namespace pagelift
