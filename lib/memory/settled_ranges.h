#ifndef PAGELIFT_LIB_MEMORY_SETTLED_RANGES_H_
#define PAGELIFT_LIB_MEMORY_SETTLED_RANGES_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "lib/memory/page.h"
#include "lib/memory/range_set.h"

namespace pagelift {

// Which parts of a map are known to hold no missing page, so that who looks for
// missing ones need not look there again.
//
// A seeker asks for the nearest unsettled stretch, searches it without a lock,
// and reports what it found empty. A page that becomes missing is unsettled
// *after* it has changed: either the seeker sees the change, or its report is
// older than the page and is dropped.
//
// Only whole grains are remembered, so this takes little memory however the
// pages are fetched: 37 bytes for two grains, 4 MiB, at the very worst.
//
// Thread-safe.
class SettledRanges {
 public:
  static constexpr PageCount kGrain{512};  // 2 MiB.

  struct Stretch {
    PageRange pages;  // Empty if all is settled there.
    uint64_t version = 0;
  };

  // The first stretch at or after `from` that is not known to be settled.
  Stretch NextUnsettled(PageId from) const;

  // The last stretch before `limit` that is not.
  Stretch LastUnsettled(PageId limit) const;

  // No page of `pages` was missing when they were searched, which was after one
  // of these gave `version`.
  void Settle(PageRange pages, uint64_t version);

  // Pages of `pages` may be missing now.
  void Unsettle(PageRange pages);

  size_t MemoryUsage() const;

 private:
  mutable absl::Mutex mu_;
  RangeSet settled_ ABSL_GUARDED_BY(mu_);      // Whole grains.
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;  // How many Unsettle() calls.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_SETTLED_RANGES_H_
