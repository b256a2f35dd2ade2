#include "lib/memory/settled_ranges.h"

#include <limits>

namespace pagelift {
namespace {

constexpr uint64_t kGrain = SettledRanges::kGrain.raw();
// The end of all pages counts as the border of a grain.
constexpr uint64_t kEnd = std::numeric_limits<uint64_t>::max();

PageId RoundDown(PageId page) {
  if (page.raw() == kEnd) return page;
  return PageId(page.raw() - page.raw() % kGrain);
}

PageId RoundUp(PageId page) {
  uint64_t over = page.raw() % kGrain;
  if (over == 0) return page;
  uint64_t missing = kGrain - over;
  return PageId(page.raw() > kEnd - missing ? kEnd : page.raw() + missing);
}

}  // namespace

SettledRanges::Stretch SettledRanges::NextUnsettled(PageId from) const {
  absl::MutexLock lock(&mu_);
  return {settled_.GapFrom(from), version_};
}

SettledRanges::Stretch SettledRanges::LastUnsettled(PageId limit) const {
  absl::MutexLock lock(&mu_);
  return {settled_.GapUpTo(limit), version_};
}

void SettledRanges::Settle(PageRange pages, uint64_t version) {
  PageRange grains =
      PageRange::Between(RoundUp(pages.first), RoundDown(pages.limit()));
  if (grains.empty()) return;
  absl::MutexLock lock(&mu_);
  if (version == version_) settled_.Insert(grains);
}

void SettledRanges::Unsettle(PageRange pages) {
  absl::MutexLock lock(&mu_);
  ++version_;
  settled_.Erase(
      PageRange::Between(RoundDown(pages.first), RoundUp(pages.limit())));
}

size_t SettledRanges::MemoryUsage() const {
  absl::MutexLock lock(&mu_);
  return settled_.MemoryUsage();
}

}  // namespace pagelift
