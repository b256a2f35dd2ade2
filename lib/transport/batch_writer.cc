#include "lib/transport/batch_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/slice.h"
#include "lib/base/fault_guard.h"
#include "lib/base/status_macros.h"
#include "lib/memory/zero_pages.h"
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
  ASSIGN_OR_RETURN(StoredRun run, store_->Read(range));
  // A page that cannot be read fails alone: the run is halved until it is read
  // or is that page.
  for (PageCount count = run.count;; count = PageCount(count.raw() / 2)) {
    *bytes = run.bytes.first(count.bytes());
    const bool read = RunGuarded([&] {
      ZeroRun first = FirstRun(*bytes, most_per_batch_);
      *bytes = bytes->first(first.zero ? 0 : first.count.bytes());
      header->zero = first.zero;
      header->checksum = first.zero ? 0 : PageChecksum({*bytes});
      header->range.count = first.count;
    });
    if (read) return absl::OkStatus();
    header->range.count = PageCount(1);
    if (count == PageCount(1)) {
      return absl::DataLossError(
          "the image's file was truncated, or its disk fails: copy the "
          "checkpoint again");
    }
  }
}

}  // namespace pagelift
