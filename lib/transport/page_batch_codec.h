#ifndef PAGELIFT_LIB_TRANSPORT_PAGE_BATCH_CODEC_H_
#define PAGELIFT_LIB_TRANSPORT_PAGE_BATCH_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/memory/page.h"

// pagelift.v1.PageBatch, byte for byte as Protocol Buffers would encode it, but
// without copying the pages: they are sent from where they lie in memory and
// handed on in the buffers in which they came. See docs/wire_protocol.md.
namespace pagelift {

// All of a PageBatch except the pages.
struct PageBatchHeader {
  uint64_t id = 0;
  ImageRange range;
  bool zero = false;
  bool compressed = false;  // The payload is one frame of Zstandard.
  uint64_t checksum = 0;    // See batch_checksum.h.
  // Not OK: the pages of `range` cannot be had.
  absl::Status error;

  // Of v1::Encoding.
  uint64_t encoding() const;
};

// What precedes `payload_bytes` bytes of pages, or of a frame, on the wire.
// Those bytes, if any, must follow.
std::string EncodePageBatchPrefix(const PageBatchHeader& header,
                                  size_t payload_bytes);

struct DecodedPageBatch {
  PageBatchHeader header;
  // The pages or the frame; point into the message that was decoded.
  absl::InlinedVector<ByteSpan, 24> payload;
  size_t payload_bytes = 0;
};

// Decodes a message that came in `message.size()` pieces. Unknown fields are
// skipped. kInvalidArgument if it is not a PageBatch, if the number of bytes
// does not fit the number of pages, or if the range wraps around. What a frame
// holds is not looked at.
absl::StatusOr<DecodedPageBatch> DecodePageBatch(
    absl::Span<const ByteSpan> message);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PAGE_BATCH_CODEC_H_
