#ifndef PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
#define PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "grpcpp/support/byte_buffer.h"
#include "lib/memory/page.h"
#include "lib/source/page_store.h"
#include "lib/transport/page_batch_codec.h"

namespace pagelift {

// Turns a request into messages over a store's mapped pages: zero runs apart,
// each message with its checksum, the pages themselves never copied by us.
//
// Thread-safe. The messages keep the store alive.
class BatchWriter {
 public:
  BatchWriter(std::shared_ptr<const PageStore> store, PageCount most_per_batch);

  // The message that answers the first pages of `range`, which are taken off
  // it. REQUIRES: `range` lies in the image and is not empty.
  grpc::ByteBuffer NextBatch(uint64_t id, ImageRange* range) const;

 private:
  // Fills in what is said of the first pages of `range`, and where they lie.
  absl::Status FirstPages(ImageRange range, PageBatchHeader* header,
                          ByteSpan* bytes) const;

  const std::shared_ptr<const PageStore> store_;
  const PageCount most_per_batch_;
};

// A message that says that the pages cannot be had.
grpc::ByteBuffer ErrorBatch(uint64_t id, ImageRange range,
                            const absl::Status& error);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
