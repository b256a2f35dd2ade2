#include "lib/source/found_pages.h"

#include <utility>

#include "absl/status/statusor.h"
#include "lib/memory/zero_pages.h"

namespace pagelift {
namespace {

FoundPages Lost(PageCount count, absl::Status why) {
  FoundPages found;
  found.count = count;
  found.lost = std::move(why);
  return found;
}

FoundPages Data(const PageStore& store, ImagePage first,
                absl::Span<const std::byte> pages) {
  PagesCheck check = store.Verify(first, pages);
  if (!check.status.ok()) return Lost(check.count, std::move(check.status));
  FoundPages found;
  found.count = check.count;
  found.bytes = pages.first(check.count.bytes());
  return found;
}

FoundPages Unreadable(const PageStore& store, ImageRange range,
                      absl::Status why) {
  // How far it is lost is known of pages that were taken out of the file.
  if (absl::IsDataLoss(why)) {
    PagesCheck check = store.Check(range);
    if (!check.status.ok()) return Lost(check.count, std::move(check.status));
  }
  return Lost(PageCount(1), std::move(why));
}

FoundPages Zeros(const PageStore& store, ImageRange range) {
  PagesCheck check = store.Check(range);
  if (!check.status.ok()) return Lost(check.count, std::move(check.status));
  FoundPages found;
  found.count = check.count;
  found.zero = true;
  return found;
}

}  // namespace

FoundPages FindFirstPages(const PageStore& store, ImageRange range,
                          absl::Span<std::byte> buffer) {
  PageCount zeros;
  while (zeros < range.count) {
    const bool first = zeros == PageCount(0);
    const absl::StatusOr<PageCount> read =
        store.Read({range.first + zeros, range.count - zeros}, buffer);
    if (!read.ok()) {
      if (first) return Unreadable(store, range, read.status());
      break;
    }
    const ZeroRun run = FirstRun(buffer.first(read->bytes()));
    const absl::Span<const std::byte> pages = buffer.first(run.count.bytes());
    if (!run.zero) {
      if (first) return Data(store, range.first, pages);
      break;
    }
    PagesCheck check = store.Verify(range.first + zeros, pages);
    if (!check.status.ok()) {
      if (first) return Lost(check.count, std::move(check.status));
      break;
    }
    zeros = zeros + check.count;
    if (check.count < *read) break;
  }
  return Zeros(store, {range.first, zeros});
}

}  // namespace pagelift
