#include "tests/bench/prefetch_sim/trace_pages.h"

#include <algorithm>

namespace pagelift::bench {

TracePages::TracePages(const std::vector<PageId>& pages)
    : pages_(pages),
      words_((pages.size() + 63) / 64, ~uint64_t{0}),
      missing_(pages.size()) {}

ImagePage TracePages::ImageOf(PageId page) const {
  return ImagePage(NumberFrom(page));
}

size_t TracePages::NumberFrom(PageId page) const {
  return static_cast<size_t>(
      std::lower_bound(pages_.begin(), pages_.end(), page) - pages_.begin());
}

bool TracePages::Claim(ImagePage page) {
  const size_t number = page.raw();
  if (!IsMissing(number)) return false;
  ClaimRun(number, number + 1);
  return true;
}

std::optional<PageMap::Piece> TracePages::ClaimFirst(PageRange within,
                                                     PageCount most) {
  return ClaimUp(NumberFrom(within.first), NumberFrom(within.limit()), most);
}

std::optional<PageMap::Piece> TracePages::ClaimImage(ImageRange image,
                                                     PageCount most) {
  return ClaimUp(image.first.raw(),
                 std::min<size_t>(image.limit().raw(), pages_.size()), most);
}

std::optional<PageMap::Piece> TracePages::ClaimUp(size_t first, size_t limit,
                                                  PageCount most) {
  first = FirstMissing(first, limit);
  if (limit <= first) return std::nullopt;
  limit = std::min<size_t>(limit, first + most.raw());
  size_t end = first + 1;
  while (end < limit && IsMissing(end) &&
         pages_[end] == pages_[end - 1] + PageCount(1)) {
    ++end;
  }
  return ClaimRun(first, end);
}

std::optional<PageMap::Piece> TracePages::ClaimLast(PageRange within,
                                                    PageCount most) {
  size_t first = NumberFrom(within.first);
  const size_t limit = AfterLastMissing(first, NumberFrom(within.limit()));
  if (limit <= first) return std::nullopt;
  if (first + most.raw() < limit) first = limit - most.raw();
  size_t start = limit - 1;
  while (first < start && IsMissing(start - 1) &&
         pages_[start - 1] + PageCount(1) == pages_[start]) {
    --start;
  }
  return ClaimRun(start, limit);
}

size_t TracePages::FirstMissing(size_t first, size_t limit) const {
  while (first < limit) {
    const uint64_t rest = words_[first / 64] >> (first % 64);
    if (rest != 0) {
      return std::min<size_t>(
          limit, first + static_cast<size_t>(__builtin_ctzll(rest)));
    }
    first += 64 - first % 64;
  }
  return limit;
}

size_t TracePages::AfterLastMissing(size_t first, size_t limit) const {
  while (first < limit) {
    const uint64_t rest = words_[(limit - 1) / 64] << (63 - (limit - 1) % 64);
    if (rest != 0) {
      return std::max<size_t>(
          first, limit - static_cast<size_t>(__builtin_clzll(rest)));
    }
    limit -= (limit - 1) % 64 + 1;
  }
  return first;
}

PageMap::Piece TracePages::ClaimRun(size_t first, size_t limit) {
  for (size_t number = first; number < limit; ++number) {
    words_[number / 64] &= ~(uint64_t{1} << (number % 64));
  }
  const PageCount count(limit - first);
  missing_ = missing_ - count;
  return {{pages_[first], count}, ImagePage(first)};
}

}  // namespace pagelift::bench
