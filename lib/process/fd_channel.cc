#include "lib/process/fd_channel.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/attached_fd.h"
#include "lib/process/unix_address.h"

namespace pagelift {
namespace {

// The kernel's limit for one message (SCM_MAX_FD).
constexpr size_t kMostFds = 253;
constexpr size_t kControlSize =
    CMSG_SPACE(kMostFds * sizeof(int)) + CMSG_SPACE(sizeof(ucred));

// Takes over the descriptors in `message`, whatever else is wrong with it.
void TakeControl(msghdr& message, Received& received) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    const size_t size = part->cmsg_len - CMSG_LEN(0);
    if (part->cmsg_type == SCM_RIGHTS) {
      for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(part) + at, sizeof(fd));
        received.fds.emplace_back(fd);
      }
    } else if (part->cmsg_type == SCM_CREDENTIALS && size >= sizeof(ucred)) {
      std::memcpy(&received.sender.emplace(), CMSG_DATA(part), sizeof(ucred));
    }
  }
}

absl::Status SendMessage(int socket, msghdr& message, size_t& sent) {
  ssize_t length;
  do {
    length = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return SysError("sendmsg");
  sent += static_cast<size_t>(length);
  return absl::OkStatus();
}

}  // namespace

FdChannel::FdChannel(UniqueFd socket) : socket_(std::move(socket)) {}

absl::StatusOr<FdChannel> FdChannel::Connect(const std::string& path) {
  ASSIGN_OR_RETURN(UnixAddress address, UnixAddress::Of(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError("socket");
  if (connect(fd.get(), address.get(), address.size()) != 0) {
    return SysError("connect to ", path);
  }
  return FdChannel(std::move(fd));
}

absl::Status FdChannel::SetPassCredentials() const {
  const int on = 1;
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) !=
      0) {
    return SysError("setsockopt SO_PASSCRED");
  }
  return absl::OkStatus();
}

absl::StatusOr<Received> FdChannel::ReceiveWithFds(absl::Span<std::byte> into,
                                                   Wait wait) const {
  CHECK(!into.empty());
  alignas(cmsghdr) char control[kControlSize];
  iovec bytes = {into.data(), into.size()};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const int flags =
      MSG_CMSG_CLOEXEC | (wait == Wait::kDontWait ? MSG_DONTWAIT : 0);
  ssize_t length;
  do {
    length = recvmsg(socket_.get(), &message, flags);
  } while (length < 0 && errno == EINTR);
  if (length < 0 && errno == EAGAIN) {
    return absl::UnavailableError("nothing to receive yet");
  }
  if (length < 0) return SysError("recvmsg");

  Received received;
  received.bytes = static_cast<size_t>(length);
  TakeControl(message, received);
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return absl::ResourceExhaustedError(
        "not all descriptors that were sent could be taken: the limit of open "
        "files is too low");
  }
  return received;
}

absl::Status FdChannel::Send(absl::Span<const std::byte> bytes) const {
  return SendWithFd(bytes, -1);
}

absl::Status FdChannel::SendWithFd(absl::Span<const std::byte> bytes,
                                   int fd) const {
  CHECK(!bytes.empty());
  size_t sent = 0;
  while (sent < bytes.size()) {
    iovec rest = {const_cast<std::byte*>(bytes.data()) + sent,
                  bytes.size() - sent};
    msghdr message = {};
    message.msg_iov = &rest;
    message.msg_iovlen = 1;
    std::optional<AttachedFd> attached;
    if (fd >= 0 && sent == 0) attached.emplace(fd, message);
    RETURN_IF_ERROR(SendMessage(socket_.get(), message, sent));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
