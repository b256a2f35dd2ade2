#include "daemon/migration/parked/criu_leash.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/transport/criu_message.h"

namespace pagelift {
namespace {

// Who knocks at a port that is open for a microsecond is few.
constexpr int kStrangers = 64;
constexpr absl::Duration kAcceptWithin = absl::Seconds(5);

using Address = sockaddr_in;

sockaddr* Generic(Address* address) {
  return reinterpret_cast<sockaddr*>(address);
}

bool Same(const Address& a, const Address& b) {
  return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
}

absl::StatusOr<Address> OwnAddress(int socket) {
  Address address = {};
  socklen_t size = sizeof(address);
  if (getsockname(socket, Generic(&address), &size) != 0) {
    return SysError("getsockname");
  }
  return address;
}

absl::StatusOr<UniqueFd> Listen() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SysError("socket");
  Address address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd.get(), Generic(&address), sizeof(address)) != 0 ||
      listen(fd.get(), kStrangers) != 0) {
    return SysError("listen on 127.0.0.1: is the loopback interface up?");
  }
  return fd;
}

absl::StatusOr<UniqueFd> Connect(Address address) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError("socket");
  const linger none = {1, 0};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof(none)) != 0) {
    return SysError("SO_LINGER");
  }
  if (connect(fd.get(), Generic(&address), sizeof(address)) != 0) {
    return SysError("connect to ourselves at 127.0.0.1:",
                    ntohs(address.sin_port));
  }
  return fd;
}

// The other end of the connection that has `ours`, the address of this end.
absl::StatusOr<UniqueFd> Accept(int listener, const Address& ours) {
  const absl::Duration deadline = MonotonicNow() + kAcceptWithin;
  for (int i = 0; i < kStrangers; ++i) {
    if (!PollUntil(listener, POLLIN, deadline)) break;
    Address peer = {};
    socklen_t size = sizeof(peer);
    UniqueFd fd(accept4(listener, Generic(&peer), &size, SOCK_CLOEXEC));
    if (fd.valid() && Same(peer, ours)) return fd;
  }
  return absl::UnavailableError(
      "others connect to a port of 127.0.0.1 that we have just opened");
}

absl::Status NoAnswer() {
  return absl::UnavailableError("CRIU has gone without an answer");
}

// Nothing is taken out of the socket.
absl::Status LookAtAnswer(int fd) {
  std::array<std::byte, kCriuEndStatusSize> answer;
  const ssize_t n =
      recv(fd, answer.data(), answer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n != static_cast<ssize_t>(answer.size())) return NoAnswer();
  const int32_t status = DecodeCriuEndStatus(answer);
  if (status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("CRIU answered with ", status));
}

}  // namespace

absl::StatusOr<CriuLeash::Pair> CriuLeash::Make() {
  ASSIGN_OR_RETURN(const UniqueFd listener, Listen());
  ASSIGN_OR_RETURN(const Address address, OwnAddress(listener.get()));
  ASSIGN_OR_RETURN(UniqueFd leash, Connect(address));
  ASSIGN_OR_RETURN(const Address ours, OwnAddress(leash.get()));
  ASSIGN_OR_RETURN(UniqueFd for_criu, Accept(listener.get(), ours));
  return Pair{CriuLeash(std::move(leash)), std::move(for_criu)};
}

absl::StatusOr<CriuLeash> CriuLeash::Adopt(int fd) {
  linger value = {};
  socklen_t size = sizeof(value);
  int protocol = 0;
  socklen_t protocol_size = sizeof(protocol);
  if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_size) != 0 ||
      protocol != IPPROTO_TCP || value.l_onoff == 0 || value.l_linger != 0) {
    return absl::NotFoundError(
        absl::StrCat("descriptor ", fd, " is not the leash of a CRIU"));
  }
  return CriuLeash(UniqueFd(fd));
}

void CriuLeash::Reset() {
  if (!fd_.valid()) return;
  // Closing resets only if nobody else has the descriptor: a child of ours may,
  // until it has become another program.
  sockaddr nobody = {};
  nobody.sa_family = AF_UNSPEC;
  connect(fd_.get(), &nobody, sizeof(nobody));
  fd_.reset();
}

absl::Status CriuLeash::Finish(absl::Duration patience) {
  if (!fd_.valid()) {
    return absl::FailedPreconditionError("the leash is used up");
  }
  const absl::Duration deadline = MonotonicNow() + patience;
  if (!PollUntil(fd_.get(), POLLIN, absl::ZeroDuration())) {
    const CriuMessage message = EncodeCriuForceClose();
    if (send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(message.size())) {
      return NoAnswer();
    }
  }
  if (!PollUntil(fd_.get(), POLLIN, deadline)) {
    return absl::DeadlineExceededError("CRIU does not answer");
  }
  RETURN_IF_ERROR(LookAtAnswer(fd_.get()));
  // Nothing to a CRIU that is told by the message; one that waits for the end
  // of the connection, as it does if it has accepted it, has it with this.
  shutdown(fd_.get(), SHUT_WR);
  if (!PollUntil(fd_.get(), POLLRDHUP, deadline)) {
    return absl::DeadlineExceededError("CRIU has answered and does not end");
  }
  fd_.reset();
  return absl::OkStatus();
}

}  // namespace pagelift
