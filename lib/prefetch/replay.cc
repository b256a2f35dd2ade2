#include "lib/prefetch/replay.h"

#include <algorithm>

namespace pagelift {
namespace {

// Messages of single pages would be most of the work, and more at once would
// keep those waiting that were touched earlier.
constexpr PageCount kTogether{8};
// The faults of which a tenth has to be in the recording.
constexpr uint64_t kJudged = 1000;

}  // namespace

Replay::Replay(std::vector<ImagePage> order)
    : recorded_(order.begin(), order.end()) {
  absl::flat_hash_set<ImagePage> left = recorded_;
  for (ImagePage page : order) {
    ImageRange run{page, PageCount(0)};
    while (run.count < kTogether && left.erase(run.limit()) > 0) {
      run.count = run.count + PageCount(1);
    }
    if (run.empty()) continue;
    if (!runs_.empty() && runs_.back().limit() == page) {
      runs_.back().count = runs_.back().count + run.count;
    } else {
      runs_.push_back(run);
    }
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
