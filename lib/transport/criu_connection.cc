#include "lib/transport/criu_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// Patient: what is given up here cannot be had again. Six minutes.
constexpr int kKeepAliveIdleSeconds = 60;
constexpr int kKeepAliveIntervalSeconds = 30;
constexpr int kKeepAliveProbes = 10;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const std::string& address, uint16_t port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "page server address \"", address, "\": ", gai_strerror(error)));
  }
  return AddressList(found, &freeaddrinfo);
}

absl::Status SetLinger(int socket, bool reset) {
  const linger value = {reset ? 1 : 0, 0};
  if (setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, sizeof(value)) != 0) {
    return SysError("SO_LINGER");
  }
  return absl::OkStatus();
}

absl::Status SetOption(int socket, int level, int option, int value) {
  if (setsockopt(socket, level, option, &value, sizeof(value)) != 0) {
    return SysError("setsockopt ", level, " ", option);
  }
  return absl::OkStatus();
}

absl::Status SetOptions(int socket) {
  RETURN_IF_ERROR(SetLinger(socket, /*reset=*/true));
  RETURN_IF_ERROR(SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1));
  RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1));
  RETURN_IF_ERROR(
      SetOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds));
  RETURN_IF_ERROR(
      SetOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds));
  return SetOption(socket, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
}

// Until a connection that was begun is there.
absl::Status WaitForConnection(int socket, absl::Time deadline) {
  pollfd poll_fd = {socket, POLLOUT, 0};
  while (true) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no answer");
    }
    const timespec wait = absl::ToTimespec(left);
    const int ready = ppoll(&poll_fd, 1, &wait, nullptr);
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) return SysError("poll");
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
    return SysError("SO_ERROR");
  }
  return error == 0 ? absl::OkStatus() : SysErrorOf(error, "connect");
}

absl::StatusOr<UniqueFd> Connect(const addrinfo& to, absl::Time deadline) {
  UniqueFd fd(socket(to.ai_family,
                     to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                     to.ai_protocol));
  if (!fd.valid()) return SysError("socket");
  RETURN_IF_ERROR(SetOptions(fd.get()));
  if (connect(fd.get(), to.ai_addr, to.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return SysError("connect");
    RETURN_IF_ERROR(WaitForConnection(fd.get(), deadline));
  }
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return SysError("fcntl");
  }
  return fd;
}

absl::Status Explain(const absl::Status& status, const std::string& peer) {
  const std::string why =
      absl::StrCat("CRIU's page server ", peer, " cannot be reached (",
                   status.message(), "): ");
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(absl::StrCat(
        why,
        "is the address right, and does a firewall let the port through?"));
  }
  return absl::UnavailableError(absl::StrCat(
      why,
      "is `criu dump --lazy-pages` or `criu page-server --lazy-pages` ready "
      "there (--status-fd says when), with this port? It takes one connection "
      "only and is gone after it, even if that was a port scan"));
}

}  // namespace

std::string CriuPeerName(const std::string& address, uint16_t port) {
  const bool is_ipv6 = absl::StrContains(address, ":");
  return is_ipv6 ? absl::StrCat("[", address, "]:", port)
                 : absl::StrCat(address, ":", port);
}

absl::StatusOr<UniqueFd> ConnectToCriu(const std::string& address,
                                       uint16_t port, absl::Duration deadline) {
  const absl::Time give_up = absl::Now() + deadline;
  // An empty name would be this host's.
  if (address.empty() || port == 0) {
    return absl::InvalidArgumentError(
        "CRIU's page server needs an address and a port");
  }
  ASSIGN_OR_RETURN(AddressList addresses, Resolve(address, port));
  absl::Status failure = absl::UnavailableError("no address");
  for (const addrinfo* to = addresses.get(); to != nullptr; to = to->ai_next) {
    absl::StatusOr<UniqueFd> socket = Connect(*to, give_up);
    if (socket.ok()) return socket;
    failure = socket.status();
  }
  return Explain(failure, CriuPeerName(address, port));
}

void EndInOrder(int socket) {
  absl::Status set = SetLinger(socket, /*reset=*/false);
  CHECK(set.ok()) << set;
}

}  // namespace pagelift
