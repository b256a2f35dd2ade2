#ifndef PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_MODEL_H_
#define PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"

namespace pagelift {

// What a PageMap has to answer, kept the simple way: page by page, in a space
// of few pages from `base` onward.
//
// REQUIRES, everywhere: ranges lie in that space.
class PageMapModel {
 public:
  PageMapModel(PageId base, PageCount space)
      : base_(base), cells_(space.raw()) {}

  bool Add(PageRange pages, ImagePage image);
  void Erase(PageRange pages);
  void Move(PageId from, PageId to, PageCount count);
  PageMapModel Fork() const;

  std::optional<PageMap::Location> Find(PageId page) const;
  PageRange UncoveredAround(PageId page, PageRange bounds) const;
  std::vector<PageMap::Piece> Targets(ImageRange image,
                                      PageStates states) const;
  std::vector<PageMap::Piece> RunsIn(PageRange pages, PageStates states) const;
  PageMap::Counts counts() const;
  size_t extent_count() const;

  bool Transition(PageId page, PageStates from, PageState to);
  PageCount TransitionRange(PageRange pages, PageStates from, PageState to);
  std::optional<PageMap::Piece> ClaimMissing(PageRange within, PageCount most);
  std::optional<PageMap::Piece> ClaimLastMissing(PageRange within,
                                                 PageCount most);
  std::optional<PageMap::Piece> ClaimImage(ImageRange image, PageCount most);

 private:
  struct Cell {
    ImagePage image;
    PageState state;
    // Pages that were added together. Only they can be one extent, and of those
    // a fork separates what was not one.
    uint64_t origin;
  };

  std::optional<PageMap::Piece> Claim(const PageMap::Piece& piece);
  PageRange space() const { return {base_, PageCount(cells_.size())}; }
  std::optional<Cell>& at(PageId page) { return cells_[(page - base_).raw()]; }
  const std::optional<Cell>& at(PageId page) const {
    return cells_[(page - base_).raw()];
  }
  // Whether `page` and the page before it are of one extent.
  bool ContinuesBefore(PageId page) const;

  PageId base_;
  std::vector<std::optional<Cell>> cells_;
  uint64_t next_origin_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_MODEL_H_
