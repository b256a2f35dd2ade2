#include "lib/memory/range_set.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>

namespace pagelift {

RangeSet::Limits::const_iterator RangeSet::EndingAfter(PageId page) const {
  auto it = limits_.upper_bound(page);
  if (it == limits_.begin()) return it;
  auto before = std::prev(it);
  return page < before->second ? before : it;
}

void RangeSet::Insert(PageRange range) {
  if (range.empty()) return;
  PageId first = range.first;
  PageId limit = range.limit();
  // A range that ends where this one begins is absorbed, too.
  auto it = limits_.upper_bound(first);
  if (it != limits_.begin() && first <= std::prev(it)->second) {
    --it;
    first = it->first;
  }
  auto absorbed = it;
  for (; it != limits_.end() && it->first <= limit; ++it) {
    limit = std::max(limit, it->second);
  }
  limits_.erase(absorbed, it);
  limits_.emplace(first, limit);
}

void RangeSet::Erase(PageRange range) {
  if (range.empty()) return;
  PageId limit = range.limit();
  auto it = limits_.upper_bound(range.first);
  if (it != limits_.begin()) {
    auto before = std::prev(it);
    PageId old_limit = before->second;
    if (before->first == range.first) {
      it = before;
    } else if (range.first < old_limit) {
      before->second = range.first;
      if (limit < old_limit) {
        limits_.emplace(limit, old_limit);
        return;
      }
    }
  }
  auto erased = it;
  PageId last_limit = limit;
  for (; it != limits_.end() && it->first < limit; ++it) {
    last_limit = it->second;
  }
  limits_.erase(erased, it);
  if (limit < last_limit) limits_.emplace(limit, last_limit);
}

bool RangeSet::Contains(PageId page) const {
  auto it = EndingAfter(page);
  return it != limits_.end() && it->first <= page;
}

bool RangeSet::Overlaps(PageRange range) const {
  if (range.empty()) return false;
  auto it = EndingAfter(range.first);
  return it != limits_.end() && it->first < range.limit();
}

PageRange RangeSet::RangeAround(PageId page) const {
  auto it = EndingAfter(page);
  if (it == limits_.end() || page < it->first) return {page, PageCount(0)};
  return PageRange::Between(it->first, it->second);
}

PageRange RangeSet::GapFrom(PageId page) const {
  auto it = EndingAfter(page);
  if (it != limits_.end() && it->first <= page) {
    page = it->second;
    ++it;
  }
  PageId limit = it == limits_.end()
                     ? PageId(std::numeric_limits<uint64_t>::max())
                     : it->first;
  return PageRange::Between(page, limit);
}

PageRange RangeSet::GapUpTo(PageId limit) const {
  auto it = limits_.lower_bound(limit);
  if (it != limits_.begin() && limit <= std::prev(it)->second) {
    --it;
    limit = it->first;
  }
  const PageId first =
      it == limits_.begin() ? PageId(0) : std::prev(it)->second;
  return PageRange::Between(first, limit);
}

std::vector<PageRange> RangeSet::Intersect(PageRange range) const {
  std::vector<PageRange> parts;
  if (range.empty()) return parts;
  for (auto it = EndingAfter(range.first);
       it != limits_.end() && it->first < range.limit(); ++it) {
    parts.push_back(PageRange::Between(it->first, it->second).Intersect(range));
  }
  return parts;
}

std::vector<PageRange> RangeSet::ranges() const {
  std::vector<PageRange> all;
  all.reserve(limits_.size());
  for (const auto& [first, limit] : limits_) {
    all.push_back(PageRange::Between(first, limit));
  }
  return all;
}

PageCount RangeSet::size() const {
  PageCount sum;
  for (const auto& [first, limit] : limits_) sum = sum + (limit - first);
  return sum;
}

size_t RangeSet::MemoryUsage() const {
  // A node has room for 15 entries of 16 bytes in 256; half of that, and an
  // eighth more for the inner nodes.
  static constexpr size_t kBytesPerRange = 256 / 7 + 5;
  return limits_.size() * kBytesPerRange;
}

}  // namespace pagelift
