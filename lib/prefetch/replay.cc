#include "lib/prefetch/replay.h"

#include <algorithm>

namespace pagelift {
namespace {

// A quarter of a MiB is a fraction of a millisecond on a fast link.
constexpr size_t kGroup = 64;
// The faults of which a tenth has to be in the recording.
constexpr uint64_t kJudged = 1000;

// The pages of a group as runs, in image order.
void AppendRuns(std::vector<ImagePage> group, std::vector<ImageRange>& runs) {
  std::sort(group.begin(), group.end());
  bool first = true;
  for (ImagePage page : group) {
    if (!first && runs.back().limit() == page) {
      runs.back().count = runs.back().count + PageCount(1);
    } else {
      runs.push_back({page, PageCount(1)});
    }
    first = false;
  }
}

}  // namespace

Replay::Replay(std::vector<ImagePage> order)
    : recorded_(order.begin(), order.end()) {
  for (size_t i = 0; i < order.size(); i += kGroup) {
    const size_t limit = std::min(order.size(), i + kGroup);
    AppendRuns({order.begin() + static_cast<ptrdiff_t>(i),
                order.begin() + static_cast<ptrdiff_t>(limit)},
               runs_);
  }
}

void Replay::OnFault(const DemandFault& fault) {
  if (ended()) return;
  ++faults_;
  if (recorded_.contains(fault.image)) ++hits_;
  if (faults_ < kJudged) return;
  if (hits_ * 10 < faults_) gave_up_ = true;
  faults_ = 0;
  hits_ = 0;
}

std::optional<PageMap::Piece> Replay::Next(MissingPages& pages,
                                           PageCount most) {
  while (!ended()) {
    ImageRange& run = runs_[next_];
    std::optional<PageMap::Piece> piece = pages.ClaimImage(run, most);
    if (!piece.has_value()) {
      ++next_;
      continue;
    }
    run = ImageRange::Between(piece->image_range().limit(), run.limit());
    if (run.empty()) ++next_;
    return piece;
  }
  return std::nullopt;
}

}  // namespace pagelift
