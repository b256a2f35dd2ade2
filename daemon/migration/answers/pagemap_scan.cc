#include "daemon/migration/answers/pagemap_scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <thread>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"
#include "lib/memory/append_joined.h"

namespace pagelift {
namespace {

// The process's address space is locked for readers while one of these is
// looked at: not for long, who wants to map something in it waits.
constexpr PageCount kPart(uint64_t{64} << (20 - kPageShift));
// More of a reservation of terabytes, in which there is little to be found.
constexpr uint64_t kMostParts = 4096;
constexpr size_t kMostThreads = 4;
constexpr uint64_t kOfATable = 512;  // Pages.

absl::StatusOr<ScannedPages> ScanPart(int pagemap, PageRange part) {
  ScannedPages found;
  std::array<PageRegion, 1024> regions;
  PagemapScan scan = {};
  scan.size = sizeof(scan);
  scan.start = AddressOf(part.first);
  scan.limit = AddressOf(part.limit());
  scan.regions = reinterpret_cast<uint64_t>(regions.data());
  scan.region_count = regions.size();
  // Not whether a page is of a file, which none here is: to tell that, the
  // kernel would look at something of each page, which takes five times as
  // long.
  scan.category_anyof_mask = kPageIsPresent | kPageIsSwapped | kPageIsGuard;
  scan.return_mask = kPageIsZeroPage | kPageIsGuard;
  while (scan.start < scan.limit) {
    const int count = ioctl(pagemap, kPagemapScan, &scan);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == ENOTTY) {
      return absl::UnimplementedError("the kernel has no PAGEMAP_SCAN");
    }
    if (count < 0) return SysError("PAGEMAP_SCAN of ", ToString(part));
    for (int i = 0; i < count; ++i) {
      const PageRegion& region = regions[static_cast<size_t>(i)];
      if (region.categories == kPageIsZeroPage) continue;
      AppendJoined(
          region.categories == kPageIsGuard ? found.guards : found.present,
          PagesOf(region.start, region.limit));
    }
    scan.start = ScannedTo(scan, regions.data(), static_cast<size_t>(count));
  }
  return found;
}

PageCount CountOf(absl::Span<const PageRange> ranges) {
  PageCount all;
  for (PageRange range : ranges) all = all + range.count;
  return all;
}

std::vector<PageRange> Cut(absl::Span<const PageRange> ranges) {
  const PageCount size =
      std::max(kPart, PageCount(CountOf(ranges).raw() / kMostParts));
  std::vector<PageRange> parts;
  for (PageRange range : ranges) {
    while (!range.empty()) {
      const PageRange part = {range.first, std::min(range.count, size)};
      parts.push_back(part);
      range = PageRange::Between(part.limit(), range.limit());
    }
  }
  return parts;
}

absl::StatusOr<ScannedPages> ScanAll(int pagemap,
                                     absl::Span<const PageRange> ranges) {
  const std::vector<PageRange> parts = Cut(ranges);
  std::vector<absl::StatusOr<ScannedPages>> found(parts.size(), ScannedPages());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < parts.size(); i = next++) {
      found[i] = ScanPart(pagemap, parts[i]);
    }
  };
  const size_t threads =
      std::min({1 + static_cast<size_t>(CountOf(ranges).raw() / kPart.raw()),
                kMostThreads, size_t{std::thread::hardware_concurrency()}});
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < threads; ++i) {
    helpers.emplace_back([&work] {
      NameThisThread("pl-scan");
      work();
    });
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  ScannedPages joined;
  for (const absl::StatusOr<ScannedPages>& part : found) {
    RETURN_IF_ERROR(part.status());
    for (PageRange pages : part->present) AppendJoined(joined.present, pages);
    for (PageRange pages : part->guards) AppendJoined(joined.guards, pages);
  }
  return joined;
}

// Ranges by whether they are in others.
struct Division {
  std::vector<PageRange> inside;
  std::vector<PageRange> outside;
};

Division Divide(absl::Span<const PageRange> ranges,
                absl::Span<const PageRange> others) {
  Division division;
  auto other = others.begin();
  for (PageRange rest : ranges) {
    while (!rest.empty()) {
      while (other != others.end() && other->limit() <= rest.first) ++other;
      const PageRange inside = other == others.end()
                                   ? PageRange{rest.limit(), PageCount(0)}
                                   : rest.Intersect(*other);
      const PageId next = inside.empty() ? rest.limit() : inside.first;
      if (rest.first < next) {
        division.outside.push_back(PageRange::Between(rest.first, next));
      }
      if (!inside.empty()) division.inside.push_back(inside);
      rest = PageRange::Between(inside.empty() ? next : inside.limit(),
                                rest.limit());
    }
  }
  return division;
}

// Of two lists that are disjoint.
std::vector<PageRange> Merge(absl::Span<const PageRange> a,
                             absl::Span<const PageRange> b) {
  std::vector<PageRange> all(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), all.begin(),
             [](PageRange x, PageRange y) { return x.first < y.first; });
  std::vector<PageRange> merged;
  for (PageRange range : all) AppendJoined(merged, range);
  return merged;
}

}  // namespace

uint64_t ScannedTo(const PagemapScan& scan, const PageRegion* regions,
                   size_t count) {
  return count < scan.region_count ? scan.limit : regions[count - 1].limit;
}

absl::StatusOr<ScannedPages> ScanPages(int pagemap,
                                       absl::Span<const PageRange> ranges,
                                       absl::Span<const PageRange> known) {
  const Division division = Divide(ranges, known);
  ASSIGN_OR_RETURN(ScannedPages scanned, ScanAll(pagemap, division.outside));
  scanned.present = Merge(scanned.present, division.inside);
  return scanned;
}

std::vector<PageRange> WholeTables(absl::Span<const PageRange> present) {
  std::vector<PageRange> whole;
  for (PageRange pages : present) {
    const uint64_t first = (pages.first.raw() + kOfATable - 1) / kOfATable;
    const uint64_t limit = pages.limit().raw() / kOfATable;
    if (first >= limit) continue;
    whole.push_back(
        {PageId(first * kOfATable), PageCount((limit - first) * kOfATable)});
  }
  return whole;
}

}  // namespace pagelift
