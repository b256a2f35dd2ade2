#ifndef TESTS_BENCH_PREFETCH_SIM_TRACE_PAGES_H_
#define TESTS_BENCH_PREFETCH_SIM_TRACE_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift::bench {

// The pages of a trace, all missing at first. Image pages are numbered in
// address order, from 0.
//
// Thread-compatible.
class TracePages : public MissingPages {
 public:
  // REQUIRES: `pages` ascend, and outlive this.
  explicit TracePages(const std::vector<PageId>& pages);

  // REQUIRES: `page` is one of them.
  ImagePage ImageOf(PageId page) const;
  // A fault claims it. False if it is not missing.
  bool Claim(ImagePage page);
  PageCount missing() const { return missing_; }

  std::optional<PageMap::Piece> ClaimFirst(PageRange within,
                                           PageCount most) override;
  std::optional<PageMap::Piece> ClaimLast(PageRange within,
                                          PageCount most) override;
  std::optional<PageMap::Piece> ClaimImage(ImageRange image,
                                           PageCount most) override;

 private:
  // The number of the first page at or after `page`.
  size_t NumberFrom(PageId page) const;
  bool IsMissing(size_t number) const {
    return (words_[number / 64] >> (number % 64) & 1) != 0;
  }
  // The first missing one of [first, limit), or `limit`.
  size_t FirstMissing(size_t first, size_t limit) const;
  // Likewise the one after the last missing one, or `first`.
  size_t AfterLastMissing(size_t first, size_t limit) const;
  // REQUIRES: all of [first, limit) are missing, and neighbours.
  PageMap::Piece ClaimRun(size_t first, size_t limit);
  std::optional<PageMap::Piece> ClaimUp(size_t first, size_t limit,
                                        PageCount most);

  const std::vector<PageId>& pages_;
  std::vector<uint64_t> words_;  // A bit for each that is missing.
  PageCount missing_;
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_TRACE_PAGES_H_
