#include "lib/source/found_pages.h"

#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/fault_guard.h"
#include "lib/memory/zero_pages.h"

namespace pagelift {
namespace {

FoundPages Lost(PageCount count, absl::Status why) {
  FoundPages found;
  found.count = count;
  found.lost = std::move(why);
  return found;
}

FoundPages Unreadable(const PageStore& store, ImageRange range) {
  PagesCheck check = store.Check(range);
  if (!check.status.ok()) return Lost(check.count, std::move(check.status));
  return Lost(PageCount(1),
              absl::DataLossError("the image's file was truncated, or its disk "
                                  "fails: copy the checkpoint again"));
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
                          PageCount most_data) {
  absl::StatusOr<StoredRun> run = store.Read(range);
  // Of a failed read, only the first page is known to be bad.
  if (!run.ok()) return Lost(PageCount(1), run.status());
  // A page that cannot be read is told from those before it by halving the run
  // until it is read or is that page.
  for (PageCount count = run->count;; count = PageCount(count.raw() / 2)) {
    const absl::Span<const std::byte> bytes = run->bytes.first(count.bytes());
    ZeroRun first;
    const bool read = RunGuarded([&] { first = FirstRun(bytes, most_data); });
    if (read && first.zero) return Zeros(store, {range.first, first.count});
    if (read) {
      FoundPages found;
      found.count = first.count;
      found.bytes = bytes.first(first.count.bytes());
      return found;
    }
    if (count == PageCount(1)) {
      return Unreadable(store, {range.first, run->count});
    }
  }
}

}  // namespace pagelift
