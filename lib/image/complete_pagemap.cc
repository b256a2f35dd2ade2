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
  const std::vector<PageRange>& lazy = layout.lazy_regions();
  auto region = lazy.begin();
  for (PageRange range : pages) {
    // Neighbouring regions stay apart, and a range may go over several.
    while (!range.empty()) {
      while (region != lazy.end() && region->limit() <= range.first) ++region;
      if (region == lazy.end() || range.first < region->first) {
        return absl::FailedPreconditionError(
            absl::StrCat(name, ": page 0x", absl::Hex(AddressOf(range.first)),
                         " was taken for a lazy one, which it is not"));
      }
      range = PageRange::Between(std::min(region->limit(), range.limit()),
                                 range.limit());
    }
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
  auto entry = pagemap.entries.begin();
  const auto add_entries_before = [&](PageId limit) {
    for (; entry != pagemap.entries.end() && entry->pages.first < limit;
         ++entry) {
      writer.Add(entry->pages, entry->flags);
    }
  };
  for (PageRange range : pages) {
    while (!range.empty()) {
      add_entries_before(range.first);
      if (entry != pagemap.entries.begin()) {
        const PageId covered = (entry - 1)->pages.limit();
        range =
            PageRange::Between(std::max(range.first, covered), range.limit());
        if (range.empty()) break;
      }
      PageId limit = range.limit();
      if (entry != pagemap.entries.end()) {
        limit = std::min(limit, entry->pages.first);
      }
      const PageRange missing = PageRange::Between(range.first, limit);
      if (!missing.empty()) writer.Add(missing, kLazyWithoutContents);
      range = PageRange::Between(limit, range.limit());
      // The entry that begins here comes next.
      if (!range.empty()) {
        writer.Add(entry->pages, entry->flags);
        ++entry;
      }
    }
  }
  add_entries_before(PageId(~uint64_t{0}));
  return writer.contents();
}

}  // namespace pagelift
