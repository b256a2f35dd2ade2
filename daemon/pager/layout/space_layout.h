#ifndef PAGELIFT_DAEMON_PAGER_LAYOUT_SPACE_LAYOUT_H_
#define PAGELIFT_DAEMON_PAGER_LAYOUT_SPACE_LAYOUT_H_

#include <array>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "daemon/pager/layout/layout_op.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/range_set.h"

namespace pagelift {

// What is known of the layout of an address space: its page map, what is
// registered there, and what is remembered of moves as long as events that are
// older may be under way. It knows the state only; what an event means for it
// is decided by AddressSpace.
//
// Every change is one LayoutOp, which is written down if there is a log. So the
// same changes, made by another process that reads them, lead to the same
// layout.
//
// Concurrency: as PageMap's. What changes the layout needs exclusive access,
// all but Lose(), which is a change of states.
class SpaceLayout {
 public:
  using Set = LayoutOp::Set;

  // Something that a remap moved to where nothing was, as far as we knew: no
  // event tells of a mapping that grew in place. An unmap event may be about
  // that.
  struct MovedIn {
    PageRange pages;
    PageId mapping;  // Where what was moved begins.
  };
  // A part of an unmap event from `first` on that was taken to tell of what lay
  // there before.
  struct Disregarded {
    PageId first;
    PageRange part;
  };

  SpaceLayout() = default;
  SpaceLayout(PageMap map, RangeSet regions);
  SpaceLayout(SpaceLayout&&) = default;
  SpaceLayout& operator=(SpaceLayout&&) = default;

  // A forked child's, as of this instant: not what is remembered of moves. It
  // has no log.
  SpaceLayout Fork() const;

  // `log` must outlive the changes; null: none. What there is already is not
  // written: see ForEachOp().
  void LogTo(LayoutLog* log) { log_ = log; }
  // The changes that lead from nothing to this. They do not tell which pages
  // are present or requested.
  void ForEachOp(absl::FunctionRef<void(const LayoutOp&)> visit) const;
  // Makes one of them, or one that was logged. kInvalidArgument, and no change,
  // if it makes no sense.
  absl::Status Apply(const LayoutOp& op);

  // To look up, and to change states; its structure is changed by what follows.
  PageMap& map() { return map_; }
  const PageMap& map() const { return map_; }
  // kRegions: what is registered. kUnmapsDue: where something was registered
  // when a remap moved memory there; it had been unmapped by another thread,
  // whose event is still to come. kDisplaced: what lay there, if the map had
  // it, was perhaps moved away and not unmapped, by an event that is still to
  // come; it is kept in the map, at kAside from its place. kVacated: from where
  // a remap that was read has moved everything; the unmap event that mostly
  // follows has not been read. kGrowing: what was taken from missing faults
  // until the events of its moves are there.
  const RangeSet& set(Set set) const {
    return sets_[static_cast<uint32_t>(set)];
  }
  const std::vector<MovedIn>& moved_in() const { return moved_in_; }
  const std::vector<Disregarded>& disregarded() const { return disregarded_; }
  // Whether anything but the regions is remembered of moves.
  bool has_recent_moves() const;

  // Beyond all addresses that a target can have.
  static constexpr PageCount kAside{uint64_t{1} << 48};

  void Erase(PageRange range);
  void Move(PageRange from, PageId to);
  // The wanted pages of `range`; returns how many. May run beside changes of
  // states, and beside itself if the log may.
  PageCount Lose(ImageRange range);
  void Insert(Set set, PageRange range);
  void Remove(Set set, PageRange range);
  void Clear(Set set);
  void RememberMove(const MovedIn& moved);
  void ForgetMovesIn(PageRange range);
  void ForgetMoves();
  void Disregard(const Disregarded& unmap);
  void ForgetDisregardedFrom(PageId first);
  void ForgetDisregardedIn(PageRange range);
  void ForgetDisregarded();

 private:
  absl::Status Make(const LayoutOp& op);
  PageCount MarkLost(ImageRange range);
  // A change of our own.
  void Do(const LayoutOp& op);

  PageMap map_;
  std::array<RangeSet, LayoutOp::kSets> sets_;
  std::vector<MovedIn> moved_in_;
  std::vector<Disregarded> disregarded_;
  LayoutLog* log_ = nullptr;
};

// All of ForEachOp(): two layouts with the same are the same.
std::vector<LayoutOp> OpsOf(const SpaceLayout& layout);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_LAYOUT_SPACE_LAYOUT_H_
