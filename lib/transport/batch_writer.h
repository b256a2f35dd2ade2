#ifndef PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
#define PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "lib/base/byte_span.h"
#include "lib/memory/page.h"
#include "lib/source/page_store.h"
#include "lib/transport/batch_checksum.h"
#include "lib/transport/fetch_queue.h"
#include "lib/transport/page_compression.h"

namespace pagelift {

// A message: `prefix`, and then `payload`, which lies in the buffer that was
// given, or in the compressor's.
struct EncodedBatch {
  std::string prefix;
  ByteSpan payload;
};

// Turns a request into messages over a store's pages: zero runs apart, each
// message with its checksum.
//
// Thread-safe.
class BatchWriter {
 public:
  BatchWriter(std::shared_ptr<const PageStore> store, PageCount most_per_batch);

  // `range`, which lies in the image, will be asked for in turn.
  void WillNeed(ImageRange range) const { store_->WillNeed(range); }

  // How large a buffer for NextBatch() is.
  size_t buffer_bytes() const { return most_per_batch_.bytes(); }

  // The message that answers the first pages of `range`, which are taken off
  // it; read into `buffer`, and compressed, if that is worth it, unless
  // `compressor` is null. REQUIRES: `range` lies in the image and is not empty;
  // `buffer` has buffer_bytes(), or what the range needs if that is less.
  EncodedBatch NextBatch(uint64_t id, ImageRange* range, std::byte* buffer,
                         PageCompressor* compressor) const;

  // A message that says that the pages cannot be had.
  EncodedBatch ErrorBatch(uint64_t id, ImageRange range,
                          const absl::Status& error) const;

 private:
  const std::shared_ptr<const PageStore> store_;
  const PageCount most_per_batch_;
  const BatchChecksum checksum_;
};

// The next message for the request whose turn it is; what it answers is taken
// off `rest`, which is the turn's range before. `buffer` as NextBatch()'s;
// `compressor` too, and it is not used if the turn does not allow that.
EncodedBatch AnswerTo(const FetchQueue::Turn& turn, const BatchWriter& writer,
                      std::byte* buffer, PageCompressor* compressor,
                      ImageRange* rest);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
