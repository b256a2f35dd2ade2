// Changes of the layout: what a remap, remove or unmap event does to the map,
// also when events of several threads come in another order than their changes.

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/pager/session/address_space.h"

namespace pagelift {
namespace {

RangeSet SetOf(const std::vector<PageRange>& ranges) {
  RangeSet set;
  for (PageRange range : ranges) set.Insert(range);
  return set;
}

}  // namespace

void AddressSpace::ApplyLocked(const Remapped& event) {
  stats_.remaps.fetch_add(1, std::memory_order_relaxed);
  if (event.from.empty()) return;
  const PageRange to{event.to, event.from.count};
  // What made room for this was no older event after all. It covers the tail,
  // too, by which the mapping has grown.
  std::vector<PageRange> unmapped;
  for (const SpaceLayout::Disregarded& unmap : layout_.disregarded()) {
    if (unmap.first == to.first) unmapped.push_back(unmap.part);
  }
  layout_.ForgetDisregardedFrom(to.first);
  for (PageRange part : unmapped) {
    DropLocked(part);
    WakeLocked(part);
  }
  MakeRoomLocked(to);
  MoveLocked(event.from, event.to);
  // The old place stays registered until its unmap event, which does not come
  // after MREMAP_DONTUNMAP.
  layout_.Insert(Set::kRegions, to);
  has_recent_moves_.store(true, std::memory_order_release);
  for (PageRange range : {event.from, to}) {
    waiting_.Forget(range);
    WakeLocked(range);
  }
}

void AddressSpace::MakeRoomLocked(PageRange to) {
  RangeSet nothing_was = SetOf({to});
  for (PageRange was : regions().Intersect(to)) {
    layout_.Insert(Set::kUnmapsDue, was);
    // What was moved away by an event that we know cannot be moved once more.
    RangeSet unexplained = SetOf({was});
    for (PageRange part : layout_.set(Set::kVacated).Intersect(was)) {
      unexplained.Erase(part);
    }
    for (PageRange part : unexplained.ranges()) {
      layout_.Move(part, part.first + SpaceLayout::kAside);
      layout_.Insert(Set::kDisplaced, part);
    }
    nothing_was.Erase(was);
  }
  layout_.Remove(Set::kVacated, to);
  for (PageRange part : nothing_was.ranges()) {
    layout_.RememberMove({part, to.first});
  }
  layout_.Erase(to);
}

void AddressSpace::MoveLocked(PageRange from, PageId to) {
  const auto move = [&](PageRange part, PageCount aside) {
    mu_.AssertHeld();
    layout_.Move({part.first + aside, part.count},
                 to + (part.first - from.first));
  };
  RangeSet still_there = SetOf({from});
  const std::vector<PageRange> displaced = DisplacedIn(from);
  for (PageRange part : displaced) {
    move(part, SpaceLayout::kAside);
    layout_.Remove(Set::kDisplaced, part);
    still_there.Erase(part);
  }
  // An event moves one mapping, and not also one that has been moved into the
  // middle of where it was.
  const bool is_older = !displaced.empty();
  const auto matters = [&](const MovedIn& moved) {
    return is_older || from.first < moved.mapping;
  };
  for (PageRange part : StillMovedIn(from, matters, is_older)) {
    still_there.Erase(part);
  }
  for (PageRange part : still_there.ranges()) {
    move(part, PageCount(0));
    layout_.Insert(Set::kVacated, part);
  }
}

void AddressSpace::ApplyLocked(const Removed& event) {
  stats_.removes.fetch_add(1, std::memory_order_relaxed);
  layout_.Erase(event.range);
  waiting_.Forget(event.range);
  WakeLocked(event.range);
}

void AddressSpace::ApplyLocked(const Unmapped& event) {
  stats_.unmaps.fetch_add(1, std::memory_order_relaxed);
  layout_.ForgetDisregardedIn(event.range);
  // One thread's unmap event may come after another thread's remap to the same
  // place: it is then about what lay there before.
  RangeSet gone = SetOf({event.range});
  // This is what follows a remap that was read: nothing is there.
  for (PageRange range : layout_.set(Set::kVacated).Intersect(event.range)) {
    DropLocked(range);
    gone.Erase(range);
  }
  layout_.Remove(Set::kVacated, event.range);
  for (PageRange range : layout_.set(Set::kUnmapsDue).Intersect(event.range)) {
    for (PageRange due : gone.Intersect(range)) {
      layout_.Remove(Set::kUnmapsDue, due);
      ForgetDisplacedLocked(due);
      gone.Erase(due);
    }
  }
  for (PageRange range : gone.ranges()) {
    // Kept too long, an extent of unmapped pages harms nobody: its pages answer
    // "no such mapping" and are let go. Dropped wrongly, data would read as
    // zeros.
    const auto all = [](const MovedIn&) { return true; };
    for (PageRange part : StillMovedIn(range, all, true)) {
      gone.Erase(part);
      layout_.Disregard({event.range.first, part});
    }
  }
  for (PageRange range : gone.ranges()) DropLocked(range);
  WakeLocked(event.range);
}

void AddressSpace::DropLocked(PageRange range) {
  layout_.Erase(range);
  layout_.Remove(Set::kRegions, range);
  layout_.ForgetMovesIn(range);
  waiting_.Forget(range);
}

std::vector<PageRange> AddressSpace::StillMovedIn(
    PageRange range, absl::FunctionRef<bool(const MovedIn&)> matters,
    bool otherwise) const {
  std::vector<MovedIn> moved_in;
  for (const MovedIn& moved : layout_.moved_in()) {
    if (moved.pages.Overlaps(range) && matters(moved)) {
      moved_in.push_back(moved);
    }
  }
  if (moved_in.empty()) return {};
  absl::StatusOr<RegisteredRanges> mappings = Mappings();
  std::vector<PageRange> still;
  for (const MovedIn& moved : moved_in) {
    const PageRange part = moved.pages.Intersect(range);
    if (!mappings.ok()) {
      if (otherwise) still.push_back(part);
      continue;
    }
    for (const Mapping& mapping : mappings->mappings()) {
      // One that begins before has grown to here since.
      if (!mapping.registered() || mapping.pages.first < moved.mapping) {
        continue;
      }
      const PageRange there = mapping.pages.Intersect(part);
      if (!there.empty()) still.push_back(there);
    }
  }
  return still;
}

std::vector<PageRange> AddressSpace::DisplacedIn(PageRange range) const {
  const std::vector<PageRange> displaced =
      layout_.set(Set::kDisplaced).Intersect(range);
  if (displaced.empty()) return {};
  absl::StatusOr<RegisteredRanges> mappings = Mappings();
  if (!mappings.ok()) return displaced;
  // If what was moved in has left by events that we know, or is still there
  // now, the event is not about that.
  RangeSet moved_on = SetOf(regions().Intersect(range));
  for (PageRange left : layout_.set(Set::kVacated).Intersect(range)) {
    moved_on.Erase(left);
  }
  for (PageRange here : mappings->RegisteredIn(range)) moved_on.Erase(here);
  RangeSet older = SetOf(displaced);
  for (PageRange part : moved_on.ranges()) older.Erase(part);
  return older.ranges();
}

void AddressSpace::ForgetDisplacedLocked(PageRange range) {
  for (PageRange part : layout_.set(Set::kDisplaced).Intersect(range)) {
    layout_.Erase({part.first + SpaceLayout::kAside, part.count});
  }
  layout_.Remove(Set::kDisplaced, range);
}

void AddressSpace::SettleMovesLocked() {
  if (!has_recent_moves_.load(std::memory_order_acquire)) return;
  const Registration registration = memory_->Probe(kAnyPage);
  if (registration != Registration::kRegistered &&
      registration != Registration::kNotRegistered) {
    return;
  }
  // No event is under way, so every one that is older than the remaps we know
  // was read.
  layout_.ForgetMoves();
  layout_.Clear(Set::kUnmapsDue);
  layout_.Clear(Set::kVacated);
  for (PageRange part : layout_.set(Set::kDisplaced).ranges()) {
    ForgetDisplacedLocked(part);
  }
  layout_.ForgetDisregarded();
  has_recent_moves_.store(false, std::memory_order_release);
}

}  // namespace pagelift
