// Any sequence of operations leaves a RangeSet that answers as a set of pages.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "lib/base/log.h"
#include "lib/memory/range_set.h"

namespace pagelift {
namespace {

constexpr uint64_t kSpace = 64;

class Model {
 public:
  explicit Model(PageId base) : base_(base) {}

  PageRange Range(uint8_t first, uint8_t count) const {
    first %= kSpace;
    return {base_ + PageCount(first), PageCount(count % (kSpace + 1 - first))};
  }

  void Insert(PageRange range) {
    for (PageId p = range.first; p < range.limit(); p = p + PageCount(1)) {
      pages_.insert(p);
    }
  }
  void Erase(PageRange range) {
    pages_.erase(pages_.lower_bound(range.first),
                 pages_.lower_bound(range.limit()));
  }

  void CheckSame(const RangeSet& set) const {
    CHECK(set.ranges() == Runs({base_, PageCount(kSpace)}));
    CHECK(set.size() == PageCount(pages_.size()));
    CHECK(set.empty() == pages_.empty());
  }

  void CheckSameAt(const RangeSet& set, PageRange range) const {
    std::vector<PageRange> parts = Runs(range);
    CHECK(set.Intersect(range) == parts);
    CHECK(set.Overlaps(range) == !parts.empty());
    PageId page = range.first;
    CHECK(set.Contains(page) == Has(page));
    PageRange around = set.RangeAround(page);
    CHECK(around.empty() == !Has(page));
    if (Has(page)) {
      std::vector<PageRange> all = Runs({base_, PageCount(kSpace)});
      CHECK(std::count(all.begin(), all.end(), around) == 1);
      CHECK(around.Contains(page));
    }
    PageRange gap = set.GapFrom(page);
    CHECK(gap.empty() || (!Has(gap.first) && Runs(gap).empty()));
    CHECK(Runs(PageRange::Between(page, gap.first)).empty() ||
          Runs(PageRange::Between(page, gap.first)).front() ==
              PageRange::Between(page, gap.first));
    CHECK(gap.limit() == PageId(~uint64_t{0}) || Has(gap.limit()));
    gap = set.GapUpTo(page);
    CHECK(Runs(gap).empty());
    CHECK(Runs(PageRange::Between(gap.limit(), page)).empty() ||
          Runs(PageRange::Between(gap.limit(), page)).front() ==
              PageRange::Between(gap.limit(), page));
    CHECK(gap.first == PageId(0) || Has(gap.first - PageCount(1)));
  }

 private:
  bool Has(PageId page) const { return pages_.count(page) != 0; }

  // Maximal runs, cut to `range`.
  std::vector<PageRange> Runs(PageRange range) const {
    std::vector<PageRange> runs;
    auto limit = pages_.lower_bound(range.limit());
    for (auto it = pages_.lower_bound(range.first); it != limit; ++it) {
      if (!runs.empty() && runs.back().limit() == *it) {
        runs.back().count = runs.back().count + PageCount(1);
      } else {
        runs.push_back({*it, PageCount(1)});
      }
    }
    return runs;
  }

  PageId base_;
  std::set<PageId> pages_;
};

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pagelift;  // NOLINT(google-build-using-namespace)
  if (size < 1) return 0;
  // At the beginning, in the middle, and at the very end of all page numbers.
  static constexpr uint64_t kBases[] = {0, uint64_t{1} << 45,
                                        ~uint64_t{0} - kSpace};
  PageId base(kBases[data[0] % 3]);
  Model model(base);
  RangeSet set;
  for (size_t i = 1; i + 3 <= size; i += 3) {
    PageRange range = model.Range(data[i + 1], data[i + 2]);
    switch (data[i] % 2) {
      case 0:
        set.Insert(range);
        model.Insert(range);
        break;
      case 1:
        set.Erase(range);
        model.Erase(range);
        break;
    }
    model.CheckSame(set);
    model.CheckSameAt(set, model.Range(data[i] / 2, data[i + 1]));
  }
  return 0;
}
