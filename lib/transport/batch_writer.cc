#include "lib/transport/batch_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/slice.h"
#include "lib/base/fault_guard.h"
#include "lib/memory/zero_pages.h"
#include "lib/source/found_pages.h"
#include "lib/transport/page_batch_codec.h"

namespace pagelift {
namespace {

grpc::Slice PrefixSlice(const PageBatchHeader& header, size_t payload) {
  return grpc::Slice(EncodePageBatchPrefix(header, payload));
}

// Protocol Buffers of most languages refuse a message whose strings are not
// UTF-8, which a file's name need not be.
std::string Ascii(absl::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isascii(static_cast<unsigned char>(c));
  });
  return plain ? std::string(text) : absl::CEscape(text);
}

// A slice over mapped pages that holds on to their store.
grpc::Slice PagesSlice(std::shared_ptr<const PageStore> store, ByteSpan bytes) {
  auto* hold = new std::shared_ptr<const PageStore>(std::move(store));
  return grpc::Slice(
      const_cast<std::byte*>(bytes.data()), bytes.size(),
      [](void* held) {
        delete static_cast<std::shared_ptr<const PageStore>*>(held);
      },
      hold);
}

}  // namespace

grpc::ByteBuffer ErrorBatch(uint64_t id, ImageRange range,
                            const absl::Status& error) {
  PageBatchHeader header;
  header.id = id;
  header.range = range;
  header.error = absl::Status(error.code(), Ascii(error.message()));
  grpc::Slice slice = PrefixSlice(header, 0);
  return grpc::ByteBuffer(&slice, 1);
}

BatchWriter::BatchWriter(std::shared_ptr<const PageStore> store,
                         PageCount most_per_batch)
    : store_(std::move(store)), most_per_batch_(most_per_batch) {}

grpc::ByteBuffer BatchWriter::NextBatch(uint64_t id, ImageRange* range) const {
  PageBatchHeader header;
  header.id = id;
  header.range = {range->first, PageCount(1)};
  ByteSpan bytes;
  absl::Status readable = FirstPages(*range, &header, &bytes);
  *range = ImageRange::Between(header.range.limit(), range->limit());
  if (!readable.ok()) return ErrorBatch(id, header.range, readable);
  grpc::Slice prefix = PrefixSlice(header, bytes.size());
  if (header.zero) return grpc::ByteBuffer(&prefix, 1);
  grpc::Slice slices[] = {prefix, PagesSlice(store_, bytes)};
  return grpc::ByteBuffer(slices, 2);
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
