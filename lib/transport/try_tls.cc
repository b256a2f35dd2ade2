#include "lib/transport/try_tls.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/tls/stream_socket.h"
#include "lib/tls/tls_session.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

constexpr absl::Duration kMostForAVerdict = absl::Seconds(1);

}  // namespace

absl::Status TryTls(const Endpoint& endpoint, absl::Duration deadline) {
  const absl::Duration until = MonotonicNow() + deadline;
  ASSIGN_OR_RETURN(UniqueFd fd,
                   ConnectTo(endpoint.address, deadline, /*cancel=*/-1));
  StreamSocket socket(std::move(fd));
  RETURN_IF_ERROR(socket.StartTls(
      TlsSession::Client(*endpoint.tls->Current(), endpoint.server_name), {},
      until - MonotonicNow(), /*cancel=*/-1));
  pollfd polled = {socket.fd(), POLLIN, 0};
  const absl::Duration left = std::clamp(
      until - MonotonicNow(), absl::ZeroDuration(), kMostForAVerdict);
  if (poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) <=
      0) {
    return absl::OkStatus();
  }
  std::byte bytes[1];
  const ssize_t came = socket.Receive(bytes, MSG_DONTWAIT);
  return came < 0 && errno == EPROTO ? socket.Error("receive")
                                     : absl::OkStatus();
}

}  // namespace pagelift
