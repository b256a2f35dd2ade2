#ifndef PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
#define PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "lib/base/byte_span.h"
#include "lib/memory/page.h"
#include "lib/source/page_store.h"
#include "lib/transport/fetch_queue.h"
#include "lib/transport/page_batch_codec.h"

namespace pagelift {

// A message: `prefix`, and then `pages`, which lie in the store.
struct EncodedBatch {
  std::string prefix;
  ByteSpan pages;
};

// Turns a request into messages over a store's mapped pages: zero runs apart,
// each message with its checksum, the pages themselves never copied by us.
//
// Thread-safe. Messages point into the store: it has to live as long as they.
class BatchWriter {
 public:
  BatchWriter(std::shared_ptr<const PageStore> store, PageCount most_per_batch);

  // The message that answers the first pages of `range`, which are taken off
  // it. REQUIRES: `range` lies in the image and is not empty.
  EncodedBatch NextBatch(uint64_t id, ImageRange* range) const;

  const std::shared_ptr<const PageStore>& store() const { return store_; }

 private:
  // Fills in what is said of the first pages of `range`, and where they lie.
  absl::Status FirstPages(ImageRange range, PageBatchHeader* header,
                          ByteSpan* bytes) const;

  const std::shared_ptr<const PageStore> store_;
  const PageCount most_per_batch_;
};

// The next message for the request whose turn it is; what it answers is taken
// off `rest`, which is the turn's range before.
EncodedBatch AnswerTo(const FetchQueue::Turn& turn, const BatchWriter& writer,
                      ImageRange* rest);

// A message that says that the pages cannot be had.
EncodedBatch ErrorBatch(uint64_t id, ImageRange range,
                        const absl::Status& error);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_BATCH_WRITER_H_
