#ifndef PAGELIFT_LIB_HTTP2_MESSAGE_ASSEMBLER_H_
#define PAGELIFT_LIB_HTTP2_MESSAGE_ASSEMBLER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "lib/base/byte_span.h"

namespace pagelift {

// A message in the pieces in which it came.
using MessagePieces = absl::InlinedVector<ByteSpan, 24>;

// A copy of them in one.
std::string Joined(const MessagePieces& pieces);

// Puts together the messages of a gRPC call from the bytes of its DATA frames.
// A message is a byte for its compression, four for its length (big-endian),
// and then so many bytes; see gRPC's PROTOCOL-HTTP2, "Length-Prefixed-Message".
//
// Copies nothing: the bytes that are added have to stay where they are as long
// as holds_bytes(). Thread-compatible.
class MessageAssembler {
 public:
  // Messages of more than `most_bytes` are refused.
  explicit MessageAssembler(size_t most_bytes) : most_bytes_(most_bytes) {}

  // kResourceExhausted: a message is too long; kUnimplemented: it is
  // compressed. Nothing may be added after an error.
  absl::Status Add(ByteSpan bytes);

  bool has_message() const { return !whole_.empty(); }
  // REQUIRES: has_message().
  const MessagePieces& front() const { return whole_.front(); }
  void Pop() { whole_.pop_front(); }

  // How many bytes the message that has begun lacks, as far as is known; 0 if
  // none has begun.
  size_t missing() const;

  // Whether messages, or a part of one, point to bytes that were added.
  bool holds_bytes() const { return has_message() || !part_.empty(); }

  // Copies the part of a message that came, and so lets go of what was added.
  // REQUIRES: !has_message().
  void KeepPart();

 private:
  static constexpr size_t kPrefix = 5;

  const size_t most_bytes_;
  std::deque<MessagePieces> whole_;
  uint8_t prefix_[kPrefix] = {};
  size_t prefix_bytes_ = 0;  // Of the message that has begun.
  size_t body_left_ = 0;     // Once its prefix is whole.
  MessagePieces part_;
  std::string kept_;  // What pieces of part_ may point to.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_MESSAGE_ASSEMBLER_H_
