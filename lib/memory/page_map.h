#ifndef PAGELIFT_LIB_MEMORY_PAGE_MAP_H_
#define PAGELIFT_LIB_MEMORY_PAGE_MAP_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "lib/memory/page.h"
#include "lib/memory/page_state.h"

namespace pagelift {

// The map of one address space: which of the target's pages get their contents
// from which page of the image, and how far each of them is.
//
// An *extent* is a run of target pages whose contents are a run of image pages.
// A page that no extent covers is *zero*: never in the image, removed, or
// grown. So a remove event and an unmap event are the same thing here: Erase().
// At any time an image page belongs to at most one target page of a map.
//
// Concurrency: the structure (Add, Erase, Move, Fork's copying, assignment)
// needs exclusive access. Look-ups and state transitions need it shared only:
// they are atomic per page and may run in any number of threads at once.
//
// Cost: look-up, split, merge O(log extents); a range operation adds the
// extents and the state words (32 pages each) that it meets. Memory: two bits a
// page and one extent per contiguous run, under 0.02 % of the memory that is
// tracked if the runs are 1 MiB long. Invariants: extents do not overlap,
// neither in the target nor in the image, and extents that a split separated
// are one again when they touch again.
//
// No range may wrap around the end of all page numbers: Add() refuses it, the
// others cut it there.
class PageMap {
 public:
  struct Location {
    PageState state;
    ImagePage image;
  };
  // A piece of an extent: `pages.count` pages that come from `image` onward.
  struct Piece {
    PageRange pages;
    ImagePage image;
    ImageRange image_range() const { return {image, pages.count}; }
  };
  using Counts = PageStateCounts;

  PageMap();
  ~PageMap();
  PageMap(PageMap&&) noexcept;
  PageMap& operator=(PageMap&&) noexcept;
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // --- Structure: exclusive access -----------------------------------------

  // Covers `pages` with image pages from `image` onward, all kMissing.
  // kInvalidArgument, and no change, if it is empty, wraps around, or if either
  // side overlaps what is there (images are outside input); kResourceExhausted,
  // and no change, if there is no memory for its states.
  absl::Status Add(PageRange pages, ImagePage image);

  // The pages leave the map: they are zero (removed) or nothing (unmapped).
  void Erase(PageRange pages);

  // What lay at [from, from + count) now lies at [to, to + count), with its
  // states; what was at `to` before is gone, uncovered pages of `from` arrive
  // as uncovered. The ranges may overlap. Image page numbers do not change.
  void Move(PageId from, PageId to, PageCount count);

  // The map of a forked child: a copy as of this instant, requested pages too.
  PageMap Fork() const;

  // --- Look-up: shared access ----------------------------------------------

  // Nothing if no extent covers the page.
  std::optional<Location> Find(PageId page) const;

  // The longest run of uncovered pages around `page` within `bounds`; empty if
  // `page` is covered or outside.
  PageRange UncoveredAround(PageId page, PageRange bounds) const;

  // Calls `visit` for each maximal piece whose image pages lie in `image` and
  // whose pages are all in one of `states`, in image order. Where installs go.
  // `visit` may make transitions.
  void ForEachTarget(ImageRange image, PageStates states,
                     absl::FunctionRef<void(const Piece&)> visit) const;

  // Calls `visit` for each maximal run of pages in `pages` that are in one of
  // `states`, in address order; runs end at extent borders. `visit` may make
  // transitions.
  void ForEachIn(PageRange pages, PageStates states,
                 absl::FunctionRef<void(const Piece&)> visit) const;

  // O(1). Exact while no transition runs; those that run may be counted by
  // half.
  Counts counts() const;
  size_t extent_count() const;
  // What the map itself takes, in bytes: nodes, indexes and state words, with
  // malloc()'s share. Words count before they are touched.
  size_t MemoryUsage() const;

  // --- State transitions: shared access ------------------------------------

  // Moves `page` from one of `from` to `to`; false if it was in none of them or
  // is uncovered. Exactly one of several racing callers gets true.
  bool Transition(PageId page, PageStates from, PageState to);

  // The same for each page of a range; returns how many changed.
  PageCount TransitionRange(PageRange pages, PageStates from, PageState to);

  // Finds the first missing page of `within`, then moves it and the missing
  // pages that follow it in the same extent, at most `most` of them, to
  // kRequested, and returns them. Nothing if no page of `within` is missing. A
  // page is claimed by exactly one of several racing callers.
  //
  // Cost: O(log extents), plus what is searched before the piece is found, in
  // words and extents, but only the first time: whole 2 MiB that were seen to
  // hold no missing page are skipped together until one of them is missing
  // again.
  std::optional<Piece> ClaimMissing(PageRange within, PageCount most);
  // The same from the other end: the last missing page of `within`, and those
  // that lead up to it.
  std::optional<Piece> ClaimLastMissing(PageRange within, PageCount most);
  // The same by image pages: the first of `image` that is missing, and those
  // that follow it in the same extent. Cost: O(log extents), plus the words and
  // extents of `image`.
  std::optional<Piece> ClaimImage(ImageRange image, PageCount most);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_PAGE_MAP_H_
