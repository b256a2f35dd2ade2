#include "lib/transport/socket_address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr absl::string_view kUnixScheme = "unix:";
constexpr int kBacklog = 512;
// 10 s of silence, then 5 s for an answer.
constexpr int kKeepaliveIdleSeconds = 10;
constexpr int kKeepaliveAnswerSeconds = 5;
constexpr unsigned kUnansweredMs =
    1000 * (kKeepaliveIdleSeconds + kKeepaliveAnswerSeconds);

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// As gRPC reads it: "unix:relative", "unix:/absolute", "unix:///absolute".
absl::string_view UnixPath(absl::string_view address) {
  absl::string_view path = absl::StripPrefix(address, kUnixScheme);
  return absl::StartsWith(path, "//") ? path.substr(2) : path;
}

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitHostPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is no address; expected HOST:PORT, ",
                     "[IPV6]:PORT or unix:PATH"));
  }
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return HostPort{std::string(host), std::to_string(port)};
}

absl::StatusOr<AddressList> Resolve(const HostPort& name, int flags) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &found);
  if (error != 0) {
    const std::string what =
        absl::StrCat("cannot resolve ", name.host, ": ", gai_strerror(error));
    return error == EAI_AGAIN ? absl::UnavailableError(what)
                              : absl::InvalidArgumentError(what);
  }
  return AddressList(found, &freeaddrinfo);
}

// A socket's name, in the shape that system calls take.
struct SocketName {
  sockaddr_storage bytes = {};
  socklen_t size = 0;

  int family() const { return bytes.ss_family; }
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&bytes);
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
};

absl::StatusOr<SocketName> UnixName(const std::string& address) {
  const std::string path(UnixPath(address));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a Unix socket has 1 to ",
                     sizeof(name.sun_path) - 1, " bytes: ", address));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  SocketName generic;
  std::memcpy(&generic.bytes, &name, sizeof(name));
  generic.size = sizeof(name);
  return generic;
}

absl::StatusOr<std::vector<SocketName>> NamesOf(const std::string& address,
                                                int flags) {
  std::vector<SocketName> names;
  if (absl::StartsWith(address, kUnixScheme)) {
    ASSIGN_OR_RETURN(SocketName name, UnixName(address));
    names.push_back(name);
    return names;
  }
  ASSIGN_OR_RETURN(HostPort host, SplitHostPort(address));
  ASSIGN_OR_RETURN(AddressList list, Resolve(host, flags));
  for (addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    SocketName name;
    std::memcpy(&name.bytes, entry->ai_addr, entry->ai_addrlen);
    name.size = entry->ai_addrlen;
    names.push_back(name);
  }
  return names;
}

in_port_t& PortOf(SocketName& name) {
  return name.family() == AF_INET6
             ? reinterpret_cast<sockaddr_in6*>(&name.bytes)->sin6_port
             : reinterpret_cast<sockaddr_in*>(&name.bytes)->sin_port;
}

void SetOption(int socket, int level, int option, int value) {
  // Those that a kind of socket does not have are no loss.
  setsockopt(socket, level, option, &value, sizeof(value));
}

// Removes a socket that nobody listens on; anything else is left alone.
absl::Status ClearTheWay(const std::string& address, const std::string& path,
                         const SocketName& name) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot listen on ", address, ": a file is in the way"));
  }
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError("socket");
  if (connect(fd.get(), name.get(), name.size) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot listen on ", address, ": somebody already does"));
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ListenOnOne(const std::string& address,
                                     SocketName& name) {
  UniqueFd fd(
      socket(name.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SysError("cannot listen on ", address);
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (name.family() == AF_INET6) {
    // [::] takes IPv4, too; others cannot, and "localhost" is two addresses.
    const auto& six = reinterpret_cast<const sockaddr_in6&>(name.bytes);
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY,
              IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr) ? 0 : 1);
  }
  if (bind(fd.get(), name.get(), name.size) != 0 ||
      listen(fd.get(), kBacklog) != 0 ||
      (name.family() != AF_UNIX &&
       getsockname(fd.get(), name.get(), &name.size) != 0)) {
    return SysError("cannot listen on ", address);
  }
  return fd;
}

absl::Status FinishConnecting(int fd, absl::Duration deadline, int cancel) {
  const absl::Duration until = MonotonicNow() + deadline;
  while (true) {
    pollfd polled[] = {{fd, POLLOUT, 0}, {cancel, POLLIN, 0}};
    const absl::Duration left = std::clamp(
        until - MonotonicNow(), absl::ZeroDuration(), absl::Hours(1));
    const int ready = poll(polled, 2,
                           static_cast<int>(absl::ToInt64Milliseconds(
                               left + absl::Milliseconds(1))));
    if (ready < 0) {
      if (errno == EINTR) continue;
      return SysError("poll");
    }
    if (polled[1].revents != 0) return absl::CancelledError("stopping");
    if (ready == 0) {
      if (MonotonicNow() < until) continue;
      return absl::UnavailableError(
          absl::StrCat("no answer within ", absl::FormatDuration(deadline)));
    }
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? absl::OkStatus()
                      : absl::UnavailableError(strerror(error));
  }
}

absl::StatusOr<UniqueFd> ConnectToOne(const SocketName& name,
                                      absl::Duration deadline, int cancel) {
  UniqueFd fd(
      socket(name.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SysError("socket");
  if (connect(fd.get(), name.get(), name.size) != 0) {
    // EAGAIN is a Unix socket's whose queue is full.
    if (errno != EINPROGRESS) return absl::UnavailableError(strerror(errno));
    RETURN_IF_ERROR(FinishConnecting(fd.get(), deadline, cancel));
  }
  MakeBlocking(fd.get());
  return fd;
}

}  // namespace

absl::StatusOr<Listener> Listener::ListenOn(const std::string& address) {
  const bool is_unix = absl::StartsWith(address, kUnixScheme);
  ASSIGN_OR_RETURN(std::vector<SocketName> names, NamesOf(address, AI_PASSIVE));
  std::string path;
  if (is_unix) {
    path = std::string(UnixPath(address));
    RETURN_IF_ERROR(ClearTheWay(address, path, names.front()));
  }
  std::vector<UniqueFd> sockets;
  absl::Status first_error;
  in_port_t port = 0;  // The one that was chosen, for all.
  // One that works is enough: a host without IPv6 resolves localhost to ::1
  // too.
  for (SocketName& name : names) {
    if (!is_unix && port != 0) PortOf(name) = port;
    absl::StatusOr<UniqueFd> fd = ListenOnOne(address, name);
    if (fd.ok()) {
      if (!is_unix) port = PortOf(name);
      sockets.push_back(*std::move(fd));
    } else if (first_error.ok()) {
      first_error = fd.status();
    }
  }
  if (sockets.empty()) return first_error;
  std::string chosen = address;
  if (!is_unix) {
    chosen =
        absl::StrCat(address.substr(0, address.rfind(':')), ":", ntohs(port));
  }
  return Listener(std::move(sockets), std::move(chosen), std::move(path));
}

Listener::Listener(std::vector<UniqueFd> sockets, std::string address,
                   std::string path)
    : sockets_(std::move(sockets)),
      address_(std::move(address)),
      path_(std::move(path)) {}

Listener::~Listener() {
  if (!sockets_.empty() && !path_.empty()) unlink(path_.c_str());
}

absl::StatusOr<UniqueFd> ConnectTo(const std::string& address,
                                   absl::Duration deadline, int cancel) {
  ASSIGN_OR_RETURN(std::vector<SocketName> names, NamesOf(address, 0));
  absl::Status first_error;
  for (const SocketName& name : names) {
    absl::StatusOr<UniqueFd> fd = ConnectToOne(name, deadline, cancel);
    if (fd.ok() || absl::IsCancelled(fd.status())) return fd;
    if (first_error.ok()) first_error = fd.status();
  }
  return Annotate(first_error, absl::StrCat("cannot connect to ", address));
}

void MakeBlocking(int socket) {
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK);
}

void TunePageSocket(int socket) {
  SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  SetOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveAnswerSeconds);
  SetOption(socket, IPPROTO_TCP, TCP_KEEPCNT, 1);
  SetOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnansweredMs);
}

std::string PeerOf(int socket) {
  SocketName name;
  name.size = sizeof(name.bytes);
  if (getpeername(socket, name.get(), &name.size) != 0) return "a lost client";
  if (name.family() == AF_UNIX) return kThisHost;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(name.get(), name.size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "a client";
  }
  return absl::StrCat(host, " port ", port);
}

std::string ClientOf(int socket) {
  SocketName name;
  name.size = sizeof(name.bytes);
  if (getpeername(socket, name.get(), &name.size) != 0) return "a lost client";
  char text[INET6_ADDRSTRLEN] = {};
  if (name.family() == AF_INET) {
    sockaddr_in address;
    std::memcpy(&address, name.get(), sizeof(address));
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    return text;
  }
  if (name.family() != AF_INET6) return kThisHost;
  sockaddr_in6 address;
  std::memcpy(&address, name.get(), sizeof(address));
  uint8_t* const bytes = address.sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
    inet_ntop(AF_INET, bytes + 12, text, sizeof(text));
    return text;
  }
  std::fill(bytes + 8, bytes + 16, uint8_t{0});
  inet_ntop(AF_INET6, bytes, text, sizeof(text));
  return absl::StrCat(text, "/64");
}

bool IsLocalAddress(absl::string_view address) {
  if (absl::StartsWith(address, kUnixScheme)) return true;
  absl::StatusOr<HostPort> name = SplitHostPort(address);
  if (!name.ok()) return false;
  if (name->host == "localhost" || name->host == "::1") return true;
  // Not the name of a host that begins so.
  in_addr numbers;
  return inet_pton(AF_INET, name->host.c_str(), &numbers) == 1 &&
         ntohl(numbers.s_addr) >> 24 == IN_LOOPBACKNET;
}

}  // namespace pagelift
