#include "daemon/page_server/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr absl::string_view kUnixScheme = "unix:";

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
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", address, "\" is no address to listen on; expected HOST:PORT, ",
        "[IPV6]:PORT or unix:PATH"));
  }
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return HostPort{std::string(host), std::to_string(port)};
}

absl::StatusOr<AddressList> Resolve(const HostPort& name) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot resolve ", name.host, ": ", gai_strerror(error)));
  }
  return AddressList(found, &freeaddrinfo);
}

absl::Status CheckTcp(const std::string& address) {
  ASSIGN_OR_RETURN(HostPort name, SplitHostPort(address));
  ASSIGN_OR_RETURN(AddressList list, Resolve(name));
  absl::Status first_error;
  // One that works is enough: a host without IPv6 resolves localhost to ::1
  // too.
  for (addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    UniqueFd fd(socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (fd.valid() &&
        setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd.get(), entry->ai_addr, entry->ai_addrlen) == 0) {
      return absl::OkStatus();
    }
    if (first_error.ok()) first_error = SysError("cannot listen on ", address);
  }
  return first_error;
}

absl::Status CheckUnix(const std::string& address) {
  const std::string path(UnixPath(address));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a Unix socket has 1 to ",
                     sizeof(name.sun_path) - 1, " bytes: ", address));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SysError("socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&name);
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      return absl::AlreadyExistsError(
          absl::StrCat("cannot listen on ", address, ": a file is in the way"));
    }
    if (connect(fd.get(), generic, sizeof(name)) == 0) {
      return absl::AlreadyExistsError(absl::StrCat("cannot listen on ", address,
                                                   ": somebody already does"));
    }
    return absl::OkStatus();  // Left behind; gRPC takes its place.
  }
  if (bind(fd.get(), generic, sizeof(name)) != 0) {
    return SysError("cannot listen on ", address);
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCanListen(const std::string& address) {
  return absl::StartsWith(address, kUnixScheme) ? CheckUnix(address)
                                                : CheckTcp(address);
}

bool IsLocalAddress(absl::string_view address) {
  if (absl::StartsWith(address, kUnixScheme)) return true;
  absl::StatusOr<HostPort> name = SplitHostPort(address);
  return name.ok() && (name->host == "localhost" || name->host == "::1" ||
                       absl::StartsWith(name->host, "127."));
}

std::string WithPort(const std::string& address, int port) {
  if (absl::StartsWith(address, kUnixScheme)) return address;
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

}  // namespace pagelift
