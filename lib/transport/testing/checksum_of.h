#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_CHECKSUM_OF_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_CHECKSUM_OF_H_

#include <cstdint>

#include "lib/base/byte_span.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/batch_checksum.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// What the checksum of a batch has to be whose pages are not compressed, of an
// image of OneTaskImage().
inline uint64_t ChecksumOf(const v1::PageBatch& batch) {
  PageBatchHeader header;
  header.range = {ImagePage(batch.first_page()), PageCount(batch.page_count())};
  header.zero = batch.encoding() == v1::ENCODING_ZERO;
  header.compressed = batch.encoding() == v1::ENCODING_ZSTD;
  header.error =
      absl::Status(static_cast<absl::StatusCode>(batch.error_code()), "");
  const BatchChecksum checksum(
      OneTaskImage(1, {PageId(0), PageCount(1)}).content_id);
  if (batch.pages().empty()) return checksum.Of(header, {});
  const ByteSpan pages(reinterpret_cast<const std::byte*>(batch.pages().data()),
                       batch.pages().size());
  return checksum.Of(header, {pages});
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_CHECKSUM_OF_H_
