#include "lib/transport/batch_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "lib/base/fault_guard.h"
#include "lib/memory/zero_pages.h"
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

EncodedBatch ErrorBatch(uint64_t id, ImageRange range,
                        const absl::Status& error) {
  PageBatchHeader header;
  header.id = id;
  header.range = range;
  header.error = absl::Status(error.code(), Ascii(error.message()));
  return {EncodePageBatchPrefix(header, 0), {}};
}

EncodedBatch AnswerTo(const FetchQueue::Turn& turn, const BatchWriter& writer,
                      ImageRange* rest) {
  if (!turn.cancelled) return writer.NextBatch(turn.id, rest);
  *rest = ImageRange::Between(rest->limit(), rest->limit());
  return ErrorBatch(turn.id, turn.range, absl::CancelledError("cancelled"));
}

BatchWriter::BatchWriter(std::shared_ptr<const PageStore> store,
                         PageCount most_per_batch)
    : store_(std::move(store)), most_per_batch_(most_per_batch) {}

EncodedBatch BatchWriter::NextBatch(uint64_t id, ImageRange* range) const {
  PageBatchHeader header;
  header.id = id;
  header.range = {range->first, PageCount(1)};
  ByteSpan bytes;
  absl::Status readable = FirstPages(*range, &header, &bytes);
  *range = ImageRange::Between(header.range.limit(), range->limit());
  if (!readable.ok()) return ErrorBatch(id, header.range, readable);
  if (header.zero) bytes = {};
  return {EncodePageBatchPrefix(header, bytes.size()), bytes};
}

absl::Status BatchWriter::FirstPages(ImageRange range, PageBatchHeader* header,
                                     ByteSpan* bytes) const {
  while (true) {
    const FoundPages found = FindFirstPages(*store_, range, most_per_batch_);
    header->range.count = found.count;
    header->zero = found.zero;
    header->checksum = 0;
    *bytes = found.bytes;
    if (!found.lost.ok() || found.zero) return found.lost;
    // Looked at again: what is data still was data when it was summed. Pages
    // that are taken out of the file later do not have this checksum.
    bool still_data = false;
    const bool read = RunGuarded([&] {
      header->checksum = PageChecksum({*bytes});
      const ZeroRun again = FirstRun(*bytes, found.count);
      still_data = !again.zero && again.count == found.count;
    });
    if (read && still_data) return absl::OkStatus();
  }
}

}  // namespace pagelift
