#ifndef PAGELIFT_DAEMON_PAGER_SESSION_PAGE_CURSOR_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_PAGE_CURSOR_H_

#include <array>
#include <cstddef>

#include "absl/types/span.h"
#include "lib/memory/page.h"

namespace pagelift {

// Walks page contents that lie in pieces, in spans of whole pages.
//
// Thread-compatible.
class PageCursor {
 public:
  using Pieces = absl::Span<const absl::Span<const std::byte>>;

  // Starts `skip` pages into `pieces`, which must outlive the cursor.
  PageCursor(Pieces pieces, PageCount skip);

  // The next pages, as many as lie together, at least one and at most `most`. A
  // page that straddles pieces is put together in a buffer that lasts until the
  // next call. REQUIRES: a page is left, `most` is not 0.
  absl::Span<const std::byte> Next(PageCount most);

 private:
  void SkipBytes(size_t bytes);

  Pieces pieces_;
  size_t piece_ = 0;
  size_t offset_ = 0;
  std::array<std::byte, kPageSize> straddling_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_PAGE_CURSOR_H_
