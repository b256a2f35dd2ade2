#include "lib/memory/page_map.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/memory/extent_index.h"
#include "lib/memory/settled_ranges.h"
#include "lib/memory/state_block.h"

namespace pagelift {
namespace {

// How many pages there are at `first` and after it.
template <typename Number>
PageCount RoomAt(Number first) {
  return PageCount(std::numeric_limits<uint64_t>::max() - first.raw());
}

template <typename Number>
NumberRange<Number> Cut(NumberRange<Number> range) {
  return {range.first, std::min(range.count, RoomAt(range.first))};
}

template <typename Number>
bool WrapsAround(NumberRange<Number> range) {
  return RoomAt(range.first) < range.count;
}

// Pages that changed sides, by state. Signed, and summed without order: a
// reader may see the second half of a change first.
class StateCounters {
 public:
  void Add(const PageStateCounts& counts, int sign) {
    Add(PageState::kMissing, counts.missing, sign);
    Add(PageState::kRequested, counts.requested, sign);
    Add(PageState::kPresent, counts.present, sign);
    Add(PageState::kLost, counts.lost, sign);
  }
  void Add(PageState state, PageCount count, int sign) {
    if (count == PageCount(0)) return;
    auto change = static_cast<int64_t>(count.raw()) * sign;
    counters_[static_cast<size_t>(state)].fetch_add(change,
                                                    std::memory_order_relaxed);
  }
  PageStateCounts Get() const {
    return {Get(PageState::kMissing), Get(PageState::kRequested),
            Get(PageState::kPresent), Get(PageState::kLost)};
  }

 private:
  PageCount Get(PageState state) const {
    int64_t count =
        counters_[static_cast<size_t>(state)].load(std::memory_order_relaxed);
    return PageCount(static_cast<uint64_t>(std::max<int64_t>(count, 0)));
  }

  std::atomic<int64_t> counters_[4] = {};
};

// The part of `extent` that lies in `pages`.
PageMap::Piece PieceOf(PageId first, const Extent& extent, PageRange pages) {
  PageRange part = pages.Intersect({first, extent.count});
  return {part, extent.image + (part.first - first)};
}

// Calls `visit` for the runs of `within`, a part of `extent`, that are in one
// of `states`.
void ForEachRun(PageId first, const Extent& extent, ImageRange within,
                PageStates states,
                absl::FunctionRef<void(const PageMap::Piece&)> visit) {
  while (!within.empty()) {
    ImageRange run = extent.block->FindRun(within, states);
    if (run.empty()) return;
    visit({{first + (run.first - extent.image), run.count}, run.first});
    within = ImageRange::Between(run.limit(), within.limit());
  }
}

}  // namespace

struct PageMap::Parts {
  // `claimed` of `extent` has become requested; where that is.
  Piece NoteClaimed(PageId first, const Extent& extent, ImageRange claimed) {
    counters.Add(PageState::kRequested, claimed.count, 1);
    counters.Add(PageState::kMissing, claimed.count, -1);
    return {{first + (claimed.first - extent.image), claimed.count},
            claimed.first};
  }

  ExtentIndex extents;
  SettledRanges settled;
  StateCounters counters;
  size_t block_bytes = 0;
};

PageMap::PageMap() : parts_(std::make_unique<Parts>()) {}
PageMap::~PageMap() = default;
PageMap::PageMap(PageMap&&) noexcept = default;
PageMap& PageMap::operator=(PageMap&&) noexcept = default;

absl::Status PageMap::Add(PageRange pages, ImagePage image) {
  ImageRange image_range{image, pages.count};
  if (pages.empty()) return absl::InvalidArgumentError("empty extent");
  if (WrapsAround(pages) || WrapsAround(image_range)) {
    return absl::InvalidArgumentError(
        absl::StrCat("extent ", ToString(pages), " from image page ",
                     image.raw(), " wraps around"));
  }
  if (parts_->extents.Overlaps(pages)) {
    return absl::InvalidArgumentError(
        absl::StrCat("extent ", ToString(pages), " overlaps another"));
  }
  if (parts_->extents.Overlaps(image_range)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "image pages ", ToString(image_range), " are somewhere else already"));
  }
  StateBlock::Ref block = StateBlock::New(image_range);
  if (!block) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for the states of ", ToString(pages)));
  }
  parts_->block_bytes += block->MemoryUsage();
  parts_->extents.Insert(pages.first, {pages.count, image, std::move(block)});
  parts_->counters.Add(PageState::kMissing, pages.count, 1);
  parts_->settled.Unsettle(pages);
  return absl::OkStatus();
}

void PageMap::Erase(PageRange pages) {
  parts_->extents.Remove(Cut(pages), [&](PageId, Extent extent) {
    parts_->counters.Add(extent.block->Count(extent.image_range()), -1);
    if (extent.block.is_last()) {
      parts_->block_bytes -= extent.block->MemoryUsage();
    }
  });
}

void PageMap::Move(PageId from, PageId to, PageCount count) {
  count = std::min({count, RoomAt(from), RoomAt(to)});
  if (from == to) return;
  std::vector<std::pair<PageId, Extent>> moved;
  parts_->extents.Remove({from, count}, [&](PageId first, Extent extent) {
    moved.emplace_back(to + (first - from), std::move(extent));
  });
  Erase({to, count});
  for (auto& [first, extent] : moved) {
    parts_->extents.Insert(first, std::move(extent));
  }
  if (!moved.empty()) parts_->settled.Unsettle({to, count});
}

PageMap PageMap::Fork() const {
  PageMap child;
  for (const auto& [first, extent] : parts_->extents) {
    StateBlock::Ref block = extent.block->CopyOf(extent.image_range());
    CHECK(block) << "no memory for a child's " << extent.count;
    child.parts_->block_bytes += block->MemoryUsage();
    child.parts_->extents.Append(
        first, {extent.count, extent.image, std::move(block)});
  }
  child.parts_->counters.Add(parts_->counters.Get(), 1);
  return child;
}

std::optional<PageMap::Location> PageMap::Find(PageId page) const {
  auto it = parts_->extents.EndingAfter(page);
  if (it == parts_->extents.end() || page < it->first) return std::nullopt;
  ImagePage image = it->second.image + (page - it->first);
  return Location{it->second.block->Get(image), image};
}

PageRange PageMap::UncoveredAround(PageId page, PageRange bounds) const {
  bounds = Cut(bounds);
  const ExtentIndex& extents = parts_->extents;
  auto it = extents.EndingAfter(page);
  bool covered = it != extents.end() && it->first <= page;
  if (covered || !bounds.Contains(page)) return {page, PageCount(0)};
  PageRange gap = bounds;
  if (it != extents.end()) {
    gap = gap.Intersect(PageRange::Between(bounds.first, it->first));
  }
  if (it != extents.begin()) {
    auto before = std::prev(it);
    gap = gap.Intersect(PageRange::Between(before->first + before->second.count,
                                           bounds.limit()));
  }
  return gap;
}

void PageMap::ForEachTarget(ImageRange image, PageStates states,
                            absl::FunctionRef<void(const Piece&)> visit) const {
  image = Cut(image);
  parts_->extents.ForEachOf(image, [&](PageId first, const Extent& extent) {
    ForEachRun(first, extent, image.Intersect(extent.image_range()), states,
               visit);
  });
}

void PageMap::ForEachIn(PageRange pages, PageStates states,
                        absl::FunctionRef<void(const Piece&)> visit) const {
  pages = Cut(pages);
  const ExtentIndex& extents = parts_->extents;
  for (auto it = extents.EndingAfter(pages.first);
       it != extents.end() && it->first < pages.limit(); ++it) {
    const auto& [first, extent] = *it;
    ForEachRun(first, extent, PieceOf(first, extent, pages).image_range(),
               states, visit);
  }
}

PageMap::Counts PageMap::counts() const { return parts_->counters.Get(); }

size_t PageMap::extent_count() const { return parts_->extents.size(); }

size_t PageMap::MemoryUsage() const {
  return sizeof(*this) + sizeof(Parts) + parts_->extents.MemoryUsage() +
         parts_->block_bytes + parts_->settled.MemoryUsage();
}

bool PageMap::Transition(PageId page, PageStates from, PageState to) {
  auto it = parts_->extents.EndingAfter(page);
  if (it == parts_->extents.end() || page < it->first) return false;
  ImagePage image = it->second.image + (page - it->first);
  std::optional<PageState> was = it->second.block->Transition(image, from, to);
  if (!was.has_value()) return false;
  parts_->counters.Add(to, PageCount(1), 1);
  parts_->counters.Add(*was, PageCount(1), -1);
  if (to == PageState::kMissing) parts_->settled.Unsettle({page, PageCount(1)});
  return true;
}

PageCount PageMap::TransitionRange(PageRange pages, PageStates from,
                                   PageState to) {
  pages = Cut(pages);
  PageCount changed;
  const ExtentIndex& extents = parts_->extents;
  for (auto it = extents.EndingAfter(pages.first);
       it != extents.end() && it->first < pages.limit(); ++it) {
    const auto& [first, extent] = *it;
    PageStateCounts were = extent.block->TransitionRange(
        PieceOf(first, extent, pages).image_range(), from, to);
    parts_->counters.Add(to, were.total(), 1);
    parts_->counters.Add(were, -1);
    changed = changed + were.total();
  }
  if (to == PageState::kMissing && changed != PageCount(0)) {
    parts_->settled.Unsettle(pages);
  }
  return changed;
}

std::optional<PageMap::Piece> PageMap::ClaimMissing(PageRange within,
                                                    PageCount most) {
  if (most == PageCount(0)) return std::nullopt;
  within = Cut(within);
  const ExtentIndex& extents = parts_->extents;
  while (!within.empty()) {
    const auto [unsettled, version] =
        parts_->settled.NextUnsettled(within.first);
    const PageRange stretch = unsettled.Intersect(within);
    if (stretch.empty()) return std::nullopt;
    for (auto it = extents.EndingAfter(stretch.first);
         it != extents.end() && it->first < stretch.limit(); ++it) {
      const auto& [first, extent] = *it;
      const Piece part = PieceOf(first, extent, stretch);
      const Piece claimed = parts_->NoteClaimed(
          first, extent, extent.block->ClaimMissing(part.image_range(), most));
      if (claimed.pages.empty()) continue;
      parts_->settled.Settle(
          PageRange::Between(stretch.first, claimed.pages.limit()), version);
      return claimed;
    }
    parts_->settled.Settle(stretch, version);
    within = PageRange::Between(stretch.limit(), within.limit());
  }
  return std::nullopt;
}

std::optional<PageMap::Piece> PageMap::ClaimLastMissing(PageRange within,
                                                        PageCount most) {
  if (most == PageCount(0)) return std::nullopt;
  within = Cut(within);
  const ExtentIndex& extents = parts_->extents;
  while (!within.empty()) {
    const auto [unsettled, version] =
        parts_->settled.LastUnsettled(within.limit());
    const PageRange stretch = unsettled.Intersect(within);
    if (stretch.empty()) return std::nullopt;
    for (auto it = extents.BeginningFrom(stretch.limit());
         it != extents.begin();) {
      --it;
      const auto& [first, extent] = *it;
      const Piece part = PieceOf(first, extent, stretch);
      if (part.pages.empty()) break;
      const Piece claimed = parts_->NoteClaimed(
          first, extent,
          extent.block->ClaimLastMissing(part.image_range(), most));
      if (claimed.pages.empty()) continue;
      parts_->settled.Settle(
          PageRange::Between(claimed.pages.first, stretch.limit()), version);
      return claimed;
    }
    parts_->settled.Settle(stretch, version);
    within = PageRange::Between(within.first, stretch.first);
  }
  return std::nullopt;
}

std::optional<PageMap::Piece> PageMap::ClaimImage(ImageRange image,
                                                  PageCount most) {
  std::optional<Piece> found;
  if (most == PageCount(0)) return found;
  image = Cut(image);
  parts_->extents.ForEachOf(image, [&](PageId first, const Extent& extent) {
    if (found.has_value()) return;
    const Piece claimed =
        parts_->NoteClaimed(first, extent,
                            extent.block->ClaimMissing(
                                image.Intersect(extent.image_range()), most));
    if (!claimed.pages.empty()) found = claimed;
  });
  return found;
}

}  // namespace pagelift
