#include "lib/transport/batch_checksum.h"

#include "lib/base/xxh3.h"

namespace pagelift {

uint64_t BatchChecksum::Of(const PageBatchHeader& header,
                           absl::Span<const ByteSpan> pages) const {
  Xxh3 what;
  what.Add(content_id_);
  what.Add(header.range.first.raw());
  what.Add(header.range.count.raw());
  what.Add(header.encoding());
  what.Add(static_cast<uint64_t>(header.error.code()));
  const uint64_t seed = what.Get();
  if (pages.size() == 1) return Xxh3::Of(pages[0], seed);
  Xxh3 all(seed);
  for (ByteSpan piece : pages) all.Add(piece);
  return all.Get();
}

}  // namespace pagelift
