#include "lib/image/complete_pagemap.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/image/pagemap.h"
#include "lib/image/pagemap_writer.h"

namespace pagelift {
namespace {

absl::Status CheckLazy(const std::string& name, const MemoryLayout& layout,
                       absl::Span<const PageRange> pages) {
  for (PageRange range : pages) {
    PageId lazy_to = range.first;
    for (PageRange part : layout.InLazyRegions(range)) {
      if (part.first == lazy_to) lazy_to = part.limit();
    }
    if (lazy_to == range.limit()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": page 0x", absl::Hex(AddressOf(lazy_to)),
                     " was taken for a lazy one, which it is not"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CompletePagemap(const std::string& name,
                                            std::string_view contents,
                                            const MemoryLayout& layout,
                                            absl::Span<const PageRange> pages) {
  RETURN_IF_ERROR(CheckLazy(name, layout, pages));
  ASSIGN_OR_RETURN(const Pagemap pagemap, DecodePagemap(name, contents));
  PagemapWriter writer(pagemap.pages_id, pagemap.counts);
  PageId written(0);  // What lies below is.
  auto range = pages.begin();
  const auto add_missing_below = [&](PageId limit) {
    for (; range != pages.end() && range->first < limit; ++range) {
      const PageRange missing = PageRange::Between(
          std::max(range->first, written), std::min(range->limit(), limit));
      if (!missing.empty()) writer.Add(missing, kLazyWithoutContents);
      if (limit < range->limit()) break;  // Its rest comes later.
    }
  };
  for (const PagemapEntry& entry : pagemap.entries) {
    add_missing_below(entry.pages.first);
    writer.Add(entry.pages, entry.flags);
    written = entry.pages.limit();
  }
  add_missing_below(PageId(~uint64_t{0}));
  return writer.contents();
}

}  // namespace pagelift
