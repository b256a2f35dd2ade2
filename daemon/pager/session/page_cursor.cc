#include "daemon/pager/session/page_cursor.h"

#include <algorithm>
#include <cstring>

#include "lib/base/log.h"

namespace pagelift {

PageCursor::PageCursor(Pieces pieces, PageCount skip) : pieces_(pieces) {
  SkipBytes(skip.bytes());
}

void PageCursor::SkipBytes(size_t bytes) {
  offset_ += bytes;
  while (piece_ < pieces_.size() && offset_ >= pieces_[piece_].size()) {
    offset_ -= pieces_[piece_].size();
    ++piece_;
  }
}

absl::Span<const std::byte> PageCursor::Next(PageCount most) {
  CHECK(piece_ < pieces_.size()) << "past the last page";
  absl::Span<const std::byte> rest = pieces_[piece_].subspan(offset_);
  const size_t together =
      std::min<size_t>(rest.size() / kPageSize * kPageSize, most.bytes());
  if (together > 0) {
    SkipBytes(together);
    return rest.first(together);
  }
  size_t filled = 0;
  while (filled < kPageSize) {
    CHECK(piece_ < pieces_.size()) << "a batch ends within a page";
    rest = pieces_[piece_].subspan(offset_);
    const size_t n = std::min(rest.size(), kPageSize - filled);
    std::memcpy(straddling_.data() + filled, rest.data(), n);
    filled += n;
    SkipBytes(n);
  }
  return straddling_;
}

}  // namespace pagelift
