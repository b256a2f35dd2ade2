#ifndef PAGELIFT_LIB_PROCESS_TESTING_CHANNEL_PAIR_H_
#define PAGELIFT_LIB_PROCESS_TESTING_CHANNEL_PAIR_H_

#include <sys/socket.h>

#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_channel.h"

namespace pagelift {

// The two ends of a connection that has no name.
inline absl::StatusOr<std::pair<FdChannel, FdChannel>> MakeChannelPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return SysError("socketpair");
  }
  return std::make_pair(FdChannel(UniqueFd(ends[0])),
                        FdChannel(UniqueFd(ends[1])));
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_TESTING_CHANNEL_PAIR_H_
