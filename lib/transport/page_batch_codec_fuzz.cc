// Arbitrary bytes, cut at arbitrary places: the decoder must agree with
// Protocol Buffers on what is a valid message and on what it says.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/log.h"
#include "lib/transport/page_batch_codec.h"
#include "lib/transport/page_compression.h"
#include "pagelift/v1/page_server.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  size_t step = data[0] % 61 + 1;
  const std::byte* message = reinterpret_cast<const std::byte*>(data + 1);
  size_t length = size - 1;
  std::vector<pagelift::ByteSpan> pieces;
  for (size_t at = 0; at < length; at += step) {
    pieces.emplace_back(message + at, std::min(step, length - at));
  }
  auto batch = pagelift::DecodePageBatch(pieces);
  if (!batch.ok()) return 0;
  // Whatever we take, Protocol Buffers take, and read the same from it. (They
  // refuse error messages that are not UTF-8, which we hand on.)
  pagelift::v1::PageBatch proto;
  if (!proto.ParseFromArray(message, static_cast<int>(length))) return 0;
  CHECK(proto.id() == batch->header.id);
  CHECK(proto.first_page() == batch->header.range.first.raw());
  CHECK(proto.page_count() == batch->header.range.count.raw());
  CHECK(proto.checksum() == batch->header.checksum);
  if (batch->header.error.ok()) {
    CHECK(proto.pages().size() == batch->payload_bytes);
    std::string pages;
    for (pagelift::ByteSpan piece : batch->payload) {
      pages.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    CHECK(proto.pages() == pages);
  }
  if (batch->header.compressed) {
    static pagelift::PageDecompressor& decompressor =
        *new pagelift::PageDecompressor();
    const pagelift::PageCount count = batch->header.range.count;
    auto decompressed = decompressor.Decompress(batch->payload, count);
    CHECK(!decompressed.ok() || decompressed->size() == count.bytes());
  }
  return 0;
}
