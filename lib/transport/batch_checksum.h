#ifndef PAGELIFT_LIB_TRANSPORT_BATCH_CHECKSUM_H_
#define PAGELIFT_LIB_TRANSPORT_BATCH_CHECKSUM_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/transport/page_batch_codec.h"

namespace pagelift {

// PageBatch.checksum: binds pages to the checkpoint that they are of, to their
// numbers, and to how they were sent. So what is damaged on its way, or of
// another checkpoint, is seen, whichever byte it is. Of the id of the request
// only that it is one that is outstanding has to be checked beside it.
//
// Thread-compatible.
class BatchChecksum {
 public:
  explicit BatchChecksum(std::string content_id)
      : content_id_(std::move(content_id)) {}

  // `pages` as they are when they are not compressed, in turn; none for zero
  // pages and errors.
  uint64_t Of(const PageBatchHeader& header,
              absl::Span<const ByteSpan> pages) const;

 private:
  std::string content_id_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_BATCH_CHECKSUM_H_
