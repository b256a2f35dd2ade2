#ifndef PAGELIFT_LIB_HTTP2_OUTPUT_QUEUE_H_
#define PAGELIFT_LIB_HTTP2_OUTPUT_QUEUE_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"

namespace pagelift {

// Bytes on their way to a socket: short ones that it keeps, long ones that it
// points to.
//
// Thread-compatible.
class OutputQueue {
 public:
  void AppendCopy(ByteSpan bytes);
  // `bytes` must stay as they are until the queue is empty.
  void AppendBorrowed(ByteSpan bytes);

  bool empty() const { return first_ == pieces_.size(); }
  size_t size_bytes() const;

  // As sendmsg(2): how many bytes of the pieces were taken, or -1 and errno.
  using Sender = absl::FunctionRef<ssize_t(absl::Span<const iovec> pieces)>;

  // Sends until all is sent (true), or there is no room for more: EAGAIN
  // (false). An error has the code of errno.
  absl::StatusOr<bool> SendBy(Sender send);
  // The same to a socket; false only with MSG_DONTWAIT among `flags`.
  absl::StatusOr<bool> SendTo(int socket, int flags);

 private:
  struct Piece {
    const std::byte* borrowed;  // Null: the bytes are in copied_.
    size_t offset;              // There.
    size_t size;
  };

  void Consume(size_t bytes);

  std::string copied_;
  std::vector<Piece> pieces_;
  size_t first_ = 0;  // Those before are sent.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_OUTPUT_QUEUE_H_
