#ifndef PAGELIFT_LIB_SOURCE_LAZY_PAGE_INDEX_H_
#define PAGELIFT_LIB_SOURCE_LAZY_PAGE_INDEX_H_

#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// From image pages back to the task and address they belong to: for far ends
// that are asked by address, as CRIU's page server is.
//
// Thread-safe, immutable.
class LazyPageIndex {
 public:
  struct Owner {
    int32_t pid = 0;
    // As many of the task's pages as belong to the range one after the other.
    PageRange pages;
  };

  // REQUIRES: image.Validate() is OK.
  explicit LazyPageIndex(const ImageDescription& image);

  // The owner of the first pages of `range`; of several tasks, the first.
  // Nothing if no task has the first page.
  std::optional<Owner> OwnerOf(ImageRange range) const;
  std::optional<Owner> OwnerOf(ImagePage page) const {
    return OwnerOf(ImageRange{page, PageCount(1)});
  }

 private:
  void Add(int32_t pid, PageId first, ImageRange image);

  absl::btree_map<ImagePage, Owner> owners_;  // By first image page; disjoint.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_LAZY_PAGE_INDEX_H_
