#include "daemon/pager/layout/space_layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

using Kind = LayoutOp::Kind;
using Set = LayoutOp::Set;

// How many moves to places of which we know nothing are remembered: a target
// may make any number of them.
constexpr size_t kMostMoves = 256;

constexpr ImageRange kAllImagePages{ImagePage(0), PageCount(~uint64_t{0})};
constexpr PageStates kWanted = PageState::kMissing | PageState::kRequested;

LayoutOp OpOn(Kind kind, PageRange range, uint64_t c = 0) {
  return {kind, Set::kRegions, range.first.raw(), range.count.raw(), c};
}
LayoutOp OpOnSet(Kind kind, Set set, PageRange range) {
  return {kind, set, range.first.raw(), range.count.raw(), 0};
}
LayoutOp OpOf(const SpaceLayout::MovedIn& moved) {
  return OpOn(Kind::kMovedIn, moved.pages, moved.mapping.raw());
}
LayoutOp OpOf(const SpaceLayout::Disregarded& unmap) {
  return {Kind::kDisregard, Set::kRegions, unmap.first.raw(),
          unmap.part.first.raw(), unmap.part.count.raw()};
}

bool Wraps(uint64_t first, uint64_t count) { return first + count < first; }

}  // namespace

SpaceLayout::SpaceLayout(PageMap map, RangeSet regions) : map_(std::move(map)) {
  sets_[static_cast<uint32_t>(Set::kRegions)] = std::move(regions);
}

SpaceLayout SpaceLayout::Fork() const {
  SpaceLayout child(map_.Fork(), set(Set::kRegions));
  for (PageRange part : set(Set::kDisplaced).ranges()) {
    child.map_.Erase({part.first + kAside, part.count});
  }
  return child;
}

bool SpaceLayout::has_recent_moves() const {
  return !moved_in_.empty() || !disregarded_.empty() ||
         !set(Set::kUnmapsDue).empty() || !set(Set::kDisplaced).empty() ||
         !set(Set::kVacated).empty();
}

void SpaceLayout::ForEachOp(
    absl::FunctionRef<void(const LayoutOp&)> visit) const {
  map_.ForEachTarget(
      kAllImagePages, kWanted | PageState::kPresent | PageState::kLost,
      [&](const PageMap::Piece& piece) {
        visit(OpOn(Kind::kExtent, piece.pages, piece.image.raw()));
      });
  map_.ForEachTarget(kAllImagePages, PageState::kLost,
                     [&](const PageMap::Piece& piece) {
                       visit({Kind::kLose, Set::kRegions, piece.image.raw(),
                              piece.pages.count.raw(), 0});
                     });
  for (uint32_t i = 0; i < LayoutOp::kSets; ++i) {
    for (PageRange range : sets_[i].ranges()) {
      visit(OpOnSet(Kind::kInsert, static_cast<Set>(i), range));
    }
  }
  for (const MovedIn& moved : moved_in_) visit(OpOf(moved));
  for (const Disregarded& unmap : disregarded_) visit(OpOf(unmap));
}

absl::Status SpaceLayout::Apply(const LayoutOp& op) {
  const absl::Status status = Make(op);
  if (status.ok() && log_ != nullptr) log_->Append(op);
  return status;
}

void SpaceLayout::Do(const LayoutOp& op) {
  const absl::Status status = Apply(op);
  CHECK(status.ok()) << status;
}

absl::Status SpaceLayout::Make(const LayoutOp& op) {
  const PageRange range{PageId(op.a), PageCount(op.b)};
  if (static_cast<uint32_t>(op.set) >= LayoutOp::kSets || Wraps(op.a, op.b)) {
    return absl::InvalidArgumentError(
        absl::StrCat("impossible change ", static_cast<uint32_t>(op.kind),
                     " of a layout: ", op.a, " ", op.b, " ", op.c));
  }
  RangeSet& set = sets_[static_cast<uint32_t>(op.set)];
  switch (op.kind) {
    case Kind::kExtent:
      return map_.Add(range, ImagePage(op.c));
    case Kind::kErase:
      map_.Erase(range);
      return absl::OkStatus();
    case Kind::kMove:
      map_.Move(range.first, PageId(op.b), PageCount(op.c));
      return absl::OkStatus();
    case Kind::kLose:
      MarkLost({ImagePage(op.a), PageCount(op.b)});
      return absl::OkStatus();
    case Kind::kInsert:
      set.Insert(range);
      return absl::OkStatus();
    case Kind::kRemove:
      set.Erase(range);
      return absl::OkStatus();
    case Kind::kClear:
      set = RangeSet();
      return absl::OkStatus();
    case Kind::kMovedIn:
      moved_in_.push_back({range, PageId(op.c)});
      return absl::OkStatus();
    case Kind::kForgetOldestMove:
      if (!moved_in_.empty()) moved_in_.erase(moved_in_.begin());
      return absl::OkStatus();
    case Kind::kForgetMovesIn: {
      std::vector<MovedIn> rest;
      for (const MovedIn& moved : moved_in_) {
        RangeSet pages;
        pages.Insert(moved.pages);
        pages.Erase(range);
        for (PageRange part : pages.ranges()) {
          rest.push_back({part, moved.mapping});
        }
      }
      moved_in_ = std::move(rest);
      return absl::OkStatus();
    }
    case Kind::kForgetMoves:
      moved_in_.clear();
      return absl::OkStatus();
    case Kind::kDisregard:
      disregarded_.push_back({range.first, {PageId(op.b), PageCount(op.c)}});
      return absl::OkStatus();
    case Kind::kForgetDisregardedFrom:
    case Kind::kForgetDisregardedIn: {
      const bool by_event = op.kind == Kind::kForgetDisregardedFrom;
      disregarded_.erase(
          std::remove_if(disregarded_.begin(), disregarded_.end(),
                         [&](const Disregarded& d) {
                           return by_event ? d.first == range.first
                                           : d.part.Overlaps(range);
                         }),
          disregarded_.end());
      return absl::OkStatus();
    }
    case Kind::kForgetDisregarded:
      disregarded_.clear();
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown change ", static_cast<uint32_t>(op.kind), " of a layout"));
}

void SpaceLayout::Erase(PageRange range) { Do(OpOn(Kind::kErase, range)); }

void SpaceLayout::Move(PageRange from, PageId to) {
  Do({Kind::kMove, Set::kRegions, from.first.raw(), to.raw(),
      from.count.raw()});
}

PageCount SpaceLayout::Lose(ImageRange range) {
  const PageCount lost = MarkLost(range);
  if (log_ != nullptr && PageCount(0) < lost) {
    log_->Append(
        {Kind::kLose, Set::kRegions, range.first.raw(), range.count.raw(), 0});
  }
  return lost;
}

PageCount SpaceLayout::MarkLost(ImageRange range) {
  PageCount lost;
  map_.ForEachTarget(range, kWanted, [&](const PageMap::Piece& piece) {
    lost = lost + map_.TransitionRange(piece.pages, kWanted, PageState::kLost);
  });
  return lost;
}

void SpaceLayout::Insert(Set set, PageRange range) {
  Do(OpOnSet(Kind::kInsert, set, range));
}

void SpaceLayout::Remove(Set set, PageRange range) {
  // Most events find nothing there.
  if (!this->set(set).Overlaps(range)) return;
  Do(OpOnSet(Kind::kRemove, set, range));
}

void SpaceLayout::Clear(Set set) {
  if (this->set(set).empty()) return;
  Do(OpOnSet(Kind::kClear, set, {}));
}

void SpaceLayout::RememberMove(const MovedIn& moved) {
  if (moved_in_.size() >= kMostMoves) Do(OpOn(Kind::kForgetOldestMove, {}));
  Do(OpOf(moved));
}

void SpaceLayout::ForgetMovesIn(PageRange range) {
  if (!moved_in_.empty()) Do(OpOn(Kind::kForgetMovesIn, range));
}

void SpaceLayout::ForgetMoves() {
  if (!moved_in_.empty()) Do(OpOn(Kind::kForgetMoves, {}));
}

void SpaceLayout::Disregard(const Disregarded& unmap) { Do(OpOf(unmap)); }

void SpaceLayout::ForgetDisregardedFrom(PageId first) {
  if (disregarded_.empty()) return;
  Do(OpOn(Kind::kForgetDisregardedFrom, {first, PageCount(0)}));
}

void SpaceLayout::ForgetDisregardedIn(PageRange range) {
  if (!disregarded_.empty()) Do(OpOn(Kind::kForgetDisregardedIn, range));
}

void SpaceLayout::ForgetDisregarded() {
  if (!disregarded_.empty()) Do(OpOn(Kind::kForgetDisregarded, {}));
}

std::vector<LayoutOp> OpsOf(const SpaceLayout& layout) {
  std::vector<LayoutOp> ops;
  layout.ForEachOp([&ops](const LayoutOp& op) { ops.push_back(op); });
  return ops;
}

}  // namespace pagelift
