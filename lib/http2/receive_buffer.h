#ifndef PAGELIFT_LIB_HTTP2_RECEIVE_BUFFER_H_
#define PAGELIFT_LIB_HTTP2_RECEIVE_BUFFER_H_

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/http2/message_assembler.h"

namespace pagelift {

// Where a socket's bytes arrive, one after the other, and stay until
// MakeRoom(). What is not used of it costs no memory.
//
// Thread-compatible.
class ReceiveBuffer {
 public:
  explicit ReceiveBuffer(size_t capacity)
      : bytes_(new std::byte[capacity]), capacity_(capacity) {}

  // Where the next bytes go: at most `most`, none if the buffer is full.
  absl::Span<std::byte> Space(size_t most) {
    return {bytes_.get() + used_, std::min(most, capacity_ - used_)};
  }
  // `count` bytes came into Space(); returns them.
  ByteSpan Took(size_t count) {
    used_ += count;
    return {bytes_.get() + used_ - count, count};
  }
  // Begins anew if `messages`, which points to what came, allows it, or there
  // is no room left: a part of a message then is copied. REQUIRES: no message
  // that is whole will be looked at any more.
  void MakeRoom(MessageAssembler& messages) {
    const bool full = used_ == capacity_;
    if (messages.holds_bytes() && !full) return;
    if (full) messages.KeepPart();
    used_ = 0;
  }

 private:
  // Not zeroed: pages that nothing arrives in are never touched.
  const std::unique_ptr<std::byte[]> bytes_;
  const size_t capacity_;
  size_t used_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_RECEIVE_BUFFER_H_
