// Changes of the layout: what a remap, remove or unmap event does to the map,
// also when events of several threads come in another order than their changes.

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/pager/session/address_space.h"

namespace pagelift {
namespace {

// How many moves to places of which we know nothing are remembered.
constexpr size_t kMostMoves = 256;

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
  for (const Disregarded& unmap : std::exchange(disregarded_, {})) {
    if (unmap.first == to.first) {
      DropLocked(unmap.part);
      WakeLocked(unmap.part);
    } else {
      disregarded_.push_back(unmap);
    }
  }
  MakeRoomLocked(to);
  MoveLocked(event.from, event.to);
  // The old place stays registered until its unmap event, which does not come
  // after MREMAP_DONTUNMAP.
  regions_.Insert(to);
  has_recent_moves_.store(true, std::memory_order_release);
  for (PageRange range : {event.from, to}) {
    waiting_.Forget(range);
    WakeLocked(range);
  }
}

void AddressSpace::MakeRoomLocked(PageRange to) {
  RangeSet nothing_was = SetOf({to});
  for (PageRange was : regions_.Intersect(to)) {
    unmaps_due_.Insert(was);
    // What was moved away by an event that we know cannot be moved once more.
    RangeSet unexplained = SetOf({was});
    for (PageRange part : vacated_.Intersect(was)) unexplained.Erase(part);
    for (PageRange part : unexplained.ranges()) {
      map_.Move(part.first, part.first + kAside, part.count);
      displaced_.Insert(part);
    }
    nothing_was.Erase(was);
  }
  vacated_.Erase(to);
  for (PageRange part : nothing_was.ranges()) {
    // A target may make any number of them.
    if (moved_in_.size() == kMostMoves) moved_in_.erase(moved_in_.begin());
    moved_in_.push_back({part, to.first});
  }
  map_.Erase(to);
}

void AddressSpace::MoveLocked(PageRange from, PageId to) {
  const auto move = [&](PageRange part, PageCount aside) {
    mu_.AssertHeld();
    map_.Move(part.first + aside, to + (part.first - from.first), part.count);
  };
  RangeSet still_there = SetOf({from});
  const std::vector<PageRange> displaced = DisplacedIn(from);
  for (PageRange part : displaced) {
    move(part, kAside);
    displaced_.Erase(part);
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
    vacated_.Insert(part);
  }
}

void AddressSpace::ApplyLocked(const Removed& event) {
  stats_.removes.fetch_add(1, std::memory_order_relaxed);
  map_.Erase(event.range);
  waiting_.Forget(event.range);
  WakeLocked(event.range);
}

void AddressSpace::ApplyLocked(const Unmapped& event) {
  stats_.unmaps.fetch_add(1, std::memory_order_relaxed);
  disregarded_.erase(std::remove_if(disregarded_.begin(), disregarded_.end(),
                                    [&](const Disregarded& d) {
                                      return d.part.Overlaps(event.range);
                                    }),
                     disregarded_.end());
  // One thread's unmap event may come after another thread's remap to the same
  // place: it is then about what lay there before.
  RangeSet gone = SetOf({event.range});
  // This is what follows a remap that was read: nothing is there.
  for (PageRange range : vacated_.Intersect(event.range)) {
    DropLocked(range);
    gone.Erase(range);
  }
  vacated_.Erase(event.range);
  for (PageRange range : unmaps_due_.Intersect(event.range)) {
    for (PageRange due : gone.Intersect(range)) {
      unmaps_due_.Erase(due);
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
      disregarded_.push_back({event.range.first, part});
    }
  }
  for (PageRange range : gone.ranges()) DropLocked(range);
  WakeLocked(event.range);
}

void AddressSpace::DropLocked(PageRange range) {
  map_.Erase(range);
  regions_.Erase(range);
  std::vector<MovedIn> rest;
  for (const MovedIn& moved : moved_in_) {
    RangeSet pages = SetOf({moved.pages});
    pages.Erase(range);
    for (PageRange part : pages.ranges()) {
      rest.push_back({part, moved.mapping});
    }
  }
  moved_in_ = std::move(rest);
  waiting_.Forget(range);
}

std::vector<PageRange> AddressSpace::StillMovedIn(
    PageRange range, absl::FunctionRef<bool(const MovedIn&)> matters,
    bool otherwise) const {
  std::vector<MovedIn> moved_in;
  for (const MovedIn& moved : moved_in_) {
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
  const std::vector<PageRange> displaced = displaced_.Intersect(range);
  if (displaced.empty()) return {};
  absl::StatusOr<RegisteredRanges> mappings = Mappings();
  if (!mappings.ok()) return displaced;
  // If what was moved in has left by events that we know, or is still there
  // now, the event is not about that.
  RangeSet moved_on = SetOf(regions_.Intersect(range));
  for (PageRange left : vacated_.Intersect(range)) moved_on.Erase(left);
  for (PageRange here : mappings->RegisteredIn(range)) moved_on.Erase(here);
  RangeSet older = SetOf(displaced);
  for (PageRange part : moved_on.ranges()) older.Erase(part);
  return older.ranges();
}

void AddressSpace::ForgetDisplacedLocked(PageRange range) {
  for (PageRange part : displaced_.Intersect(range)) {
    map_.Erase({part.first + kAside, part.count});
  }
  displaced_.Erase(range);
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
  moved_in_.clear();
  unmaps_due_ = RangeSet();
  vacated_ = RangeSet();
  while (!displaced_.empty()) {
    ForgetDisplacedLocked(displaced_.ranges().front());
  }
  disregarded_.clear();
  has_recent_moves_.store(false, std::memory_order_release);
}

}  // namespace pagelift
