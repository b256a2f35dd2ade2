#include "daemon/migration/parked/criu_leash.h"

#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "criu/rpc.pb.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"

namespace pagelift {

absl::StatusOr<CriuLeash::Pair> CriuLeash::Make() {
  ASSIGN_OR_RETURN(CriuRpc::Pair pair, CriuRpc::Make());
  return Pair{CriuLeash(std::move(pair.rpc)), std::move(pair.for_criu)};
}

absl::StatusOr<CriuLeash> CriuLeash::Adopt(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      domain != AF_UNIX || type != SOCK_SEQPACKET) {
    return absl::NotFoundError(
        absl::StrCat("descriptor ", fd, " is not the leash of a CRIU"));
  }
  return CriuLeash(CriuRpc(UniqueFd(fd)));
}

void CriuLeash::Reset() {
  UniqueFd socket = rpc_.Release();
  // Closing ends it only if nobody else has the descriptor: the guard, or a
  // child of ours until it has become another program.
  if (socket.valid()) shutdown(socket.get(), SHUT_RDWR);
}

absl::Status CriuLeash::Finish(const PidFd& criu, absl::Duration patience) {
  if (fd() < 0) return absl::FailedPreconditionError("the leash is used up");
  const absl::Duration deadline = MonotonicNow() + patience;
  // One that another worker has told may have answered and ended.
  rpc_.Answer(true).IgnoreError();
  while (true) {
    ASSIGN_OR_RETURN(const criu::RpcResponse said, rpc_.Next(criu, deadline));
    if (said.kind() == criu::RPC_NOTIFY) {
      rpc_.Answer(true).IgnoreError();
      continue;
    }
    if (said.success()) break;
    return absl::InternalError(
        absl::StrCat("criu has not ended its dump: ", said.complaint()));
  }
  Reset();
  return absl::OkStatus();
}

}  // namespace pagelift
