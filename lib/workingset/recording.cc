#include "lib/workingset/recording.h"

#include <algorithm>
#include <cstdint>

namespace pagelift {

void Recording::Reserve(PageCount pages) {
  runs_.reserve(std::min<uint64_t>(pages.raw(), kMostRuns));
}

bool Recording::Append(ImageRange pages) {
  const PageCount count = std::min(pages.count, kMostPages - page_count_);
  if (count == PageCount(0)) return pages.empty();
  if (!runs_.empty() && runs_.back().limit() == pages.first) {
    runs_.back().count = runs_.back().count + count;
  } else if (runs_.size() < kMostRuns) {
    runs_.push_back({pages.first, count});
  } else {
    return false;
  }
  page_count_ = page_count_ + count;
  return count == pages.count;
}

}  // namespace pagelift
