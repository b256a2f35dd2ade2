#include "lib/transport/batch_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "lib/source/found_pages.h"
#include "lib/transport/page_batch_codec.h"

namespace pagelift {
namespace {

// Protocol Buffers of most languages refuse a message whose strings are not
// UTF-8, which a file's name need not be.
std::string Ascii(absl::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isascii(static_cast<unsigned char>(c));
  });
  return plain ? std::string(text) : absl::CEscape(text);
}

}  // namespace

EncodedBatch AnswerTo(const FetchQueue::Turn& turn, const BatchWriter& writer,
                      std::byte* buffer, PageCompressor* compressor,
                      ImageRange* rest) {
  if (!turn.cancelled) {
    return writer.NextBatch(turn.id, rest, buffer,
                            turn.may_compress ? compressor : nullptr);
  }
  *rest = ImageRange::Between(rest->limit(), rest->limit());
  return writer.ErrorBatch(turn.id, turn.range,
                           absl::CancelledError("cancelled"));
}

BatchWriter::BatchWriter(std::shared_ptr<const PageStore> store,
                         PageCount most_per_batch)
    : store_(std::move(store)),
      most_per_batch_(most_per_batch),
      checksum_(store_->description().content_id) {}

EncodedBatch BatchWriter::ErrorBatch(uint64_t id, ImageRange range,
                                     const absl::Status& error) const {
  PageBatchHeader header;
  header.id = id;
  header.range = range;
  header.error = absl::Status(error.code(), Ascii(error.message()));
  header.checksum = checksum_.Of(header, {});
  return {EncodePageBatchPrefix(header, 0), {}};
}

EncodedBatch BatchWriter::NextBatch(uint64_t id, ImageRange* range,
                                    std::byte* buffer,
                                    PageCompressor* compressor) const {
  const FoundPages found =
      FindFirstPages(*store_, *range,
                     {buffer, std::min(range->count, most_per_batch_).bytes()});
  PageBatchHeader header;
  header.id = id;
  header.range = {range->first, found.count};
  header.zero = found.zero;
  *range = ImageRange::Between(header.range.limit(), range->limit());
  if (!found.lost.ok()) return ErrorBatch(id, header.range, found.lost);
  ByteSpan payload = found.bytes;
  if (compressor != nullptr && !found.zero &&
      !(kMostCompressedPages < found.count)) {
    const ByteSpan frame = compressor->Compress(found.bytes);
    header.compressed = !frame.empty();
    if (header.compressed) payload = frame;
  }
  header.checksum = found.zero ? checksum_.Of(header, {})
                               : checksum_.Of(header, {found.bytes});
  return {EncodePageBatchPrefix(header, payload.size()), payload};
}

}  // namespace pagelift
