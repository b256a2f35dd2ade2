#include "client/cli/local_address.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

absl::StatusOr<std::string> LocalAddressTowards(const std::string& to) {
  const size_t colon = to.rfind(':');
  std::string host = to.substr(0, colon);
  const std::string port = to.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("host \"", host, "\": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(
      found, &freeaddrinfo);
  const UniqueFd fd(
      socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, found->ai_protocol));
  // Sends nothing, but looks up the way.
  if (connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) {
    return SysError("no way to ", to);
  }
  sockaddr_storage address;
  socklen_t size = sizeof(address);
  char text[NI_MAXHOST];
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) !=
          0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text,
                  sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) {
    return SysError("no way to ", to);
  }
  return found->ai_family == AF_INET6 ? absl::StrCat("[", text, "]")
                                      : std::string(text);
}

}  // namespace pagelift
