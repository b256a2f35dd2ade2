#ifndef PAGELIFT_LIB_PROCESS_FD_CHANNEL_H_
#define PAGELIFT_LIB_PROCESS_FD_CHANNEL_H_

#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// What one receive brought. No bytes: the other side has closed.
struct Received {
  size_t bytes = 0;
  std::vector<UniqueFd> fds;    // Close-on-exec; closed with this.
  std::optional<ucred> sender;  // After SetPassCredentials(): who wrote these
                                // bytes, pid 0 if not visible from here.
};

// Whether a receive waits for the first byte.
enum class Wait { kForData, kDontWait };

// One end of a connected Unix stream socket that carries bytes and descriptors.
//
// Thread-compatible: one thread receives, one sends.
class FdChannel {
 public:
  explicit FdChannel(UniqueFd socket);

  // Paths of any length; see unix_address.h.
  static absl::StatusOr<FdChannel> Connect(const std::string& path);

  // Every receive from now on tells who sent. Also on the listener, or what was
  // sent before this call comes without.
  absl::Status SetPassCredentials() const;

  // Receives once, at most `into.size()` bytes and whatever descriptors came
  // with them. kUnavailable if there is nothing and we may not wait;
  // kResourceExhausted if descriptors came and could not all be taken: those
  // that were are closed, and the stream is of no use any more.
  absl::StatusOr<Received> ReceiveWithFds(absl::Span<std::byte> into,
                                          Wait wait = Wait::kForData) const;

  // Sends all of `bytes`, at least one. Never raises SIGPIPE.
  absl::Status Send(absl::Span<const std::byte> bytes) const;
  // The same, with a duplicate of `fd` attached to the first byte.
  absl::Status SendWithFd(absl::Span<const std::byte> bytes, int fd) const;

  int fd() const { return socket_.get(); }  // To poll; still ours.

 private:
  UniqueFd socket_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_FD_CHANNEL_H_
