#ifndef PAGELIFT_LIB_MEMORY_RANGE_SET_H_
#define PAGELIFT_LIB_MEMORY_RANGE_SET_H_

#include <cstddef>
#include <vector>

#include "absl/container/btree_map.h"
#include "lib/memory/page.h"

namespace pagelift {

// A set of target pages, kept as disjoint ranges; neighbours are merged.
//
// Thread-compatible.
//
// Cost: O(log ranges), and the ranges that the argument touches; size() and
// ranges() walk all of them. An empty range is in every set and overlaps none.
//
// REQUIRES, everywhere: a range's limit does not wrap around.
class RangeSet {
 public:
  void Insert(PageRange range);
  void Erase(PageRange range);
  bool Contains(PageId page) const;
  // Whether any page of `range` is in the set.
  bool Overlaps(PageRange range) const;
  // The range of the set that `page` lies in; empty if it is in none.
  PageRange RangeAround(PageId page) const;
  // The first run of pages at or after `page` that are not in the set, up to
  // the next range of the set or the last page number there is.
  PageRange GapFrom(PageId page) const;
  // The last run of pages before `limit` that are not in the set, down to the
  // range of the set before it or the first page number there is.
  PageRange GapUpTo(PageId limit) const;
  // The parts of `range` that are in the set, in address order.
  std::vector<PageRange> Intersect(PageRange range) const;
  std::vector<PageRange> ranges() const;
  PageCount size() const;
  bool empty() const { return limits_.empty(); }
  // Bytes that the ranges take, were every node but half full.
  size_t MemoryUsage() const;

 private:
  using Limits = absl::btree_map<PageId, PageId>;  // first -> limit.

  // The first range that ends after `page`.
  Limits::const_iterator EndingAfter(PageId page) const;

  Limits limits_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_RANGE_SET_H_
