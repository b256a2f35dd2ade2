#ifndef PAGELIFT_DAEMON_MIGRATION_ANSWERS_PAGEMAP_SCAN_H_
#define PAGELIFT_DAEMON_MIGRATION_ANSWERS_PAGEMAP_SCAN_H_

#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"

namespace pagelift {

// Of the request PAGEMAP_SCAN of a /proc/PID/pagemap (Linux 6.7; see
// Documentation/admin-guide/mm/pagemap.rst of the kernel), which is newer than
// the headers that we build with.
struct PageRegion {
  uint64_t start;
  uint64_t limit;
  uint64_t categories;
};

struct PagemapScan {
  uint64_t size;  // Of this structure.
  uint64_t flags;
  uint64_t start;
  uint64_t limit;
  uint64_t walk_end;      // Answered: how far the walk has come; but see below.
  uint64_t regions;       // The address of an array of PageRegion,
  uint64_t region_count;  // and how many there are.
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};

inline constexpr uint32_t kPagemapScan =
    static_cast<uint32_t>(_IOWR('f', 16, PagemapScan));

// Categories of a page.
inline constexpr uint64_t kPageIsFile = 1 << 2;
inline constexpr uint64_t kPageIsPresent = 1 << 3;
inline constexpr uint64_t kPageIsSwapped = 1 << 4;
inline constexpr uint64_t kPageIsZeroPage = 1 << 5;
inline constexpr uint64_t kPageIsSoftDirty = 1 << 7;
inline constexpr uint64_t kPageIsGuard = 1 << 8;  // Linux 6.15.

// How far a scan has come that has found `count` regions. The kernel itself may
// tell of less (6.18, of more than 512 regions in one request), and who went on
// from there would be told some twice.
uint64_t ScannedTo(const PagemapScan& scan, const PageRegion* regions,
                   size_t count);

// What is found in memory that is private and anonymous. Both in address order,
// neighbours joined, and disjoint.
struct ScannedPages {
  // With contents, whether in memory or swapped out; the zero page has none.
  std::vector<PageRange> present;
  std::vector<PageRange> guards;  // MADV_GUARD_INSTALL.
};

// Looks for pages in `ranges`, which are in address order and disjoint and in
// private, anonymous mappings, by several threads if there are many. Takes less
// than 3 ms a GiB of memory in small pages, and next to nothing in huge ones.
// `pagemap` is a descriptor of /proc/PID/pagemap. kUnimplemented if the kernel
// has no such request.
//
// Pages of `known`, in address order and disjoint, are not looked at and taken
// for present: one that is not then holds zeros. None may be a guard.
absl::StatusOr<ScannedPages> ScanPages(int pagemap,
                                       absl::Span<const PageRange> ranges,
                                       absl::Span<const PageRange> known = {});

// Of pages that were found what may well be known to another scan: those that
// fill page tables, 2 MiB each, so that both they and the rest are few ranges.
std::vector<PageRange> WholeTables(absl::Span<const PageRange> present);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_ANSWERS_PAGEMAP_SCAN_H_
