#ifndef PAGELIFT_LIB_MEMORY_EXTENT_INDEX_H_
#define PAGELIFT_LIB_MEMORY_EXTENT_INDEX_H_

#include <cstddef>
#include <functional>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/functional/function_ref.h"
#include "lib/memory/counting_allocator.h"
#include "lib/memory/page.h"
#include "lib/memory/state_block.h"

namespace pagelift {

// A run of target pages (from its key in the index onward) whose contents are a
// run of image pages, and the block that has their states.
struct Extent {
  PageCount count;
  ImagePage image;
  StateBlock::Ref block;

  ImageRange image_range() const { return {image, count}; }
};

// Extents in address order, found by target page or by image page.
//
// PROVIDES: extents overlap neither in the target nor in the image; two that
// touch in both, in the same order, and share a block are one.
//
// Thread-compatible. Neither copied nor moved: its allocators point into it.
class ExtentIndex {
 private:
  template <typename Key, typename Value>
  using Map = absl::btree_map<Key, Value, std::less<Key>,
                              CountingAllocator<std::pair<const Key, Value>>>;
  using ByPage = Map<PageId, Extent>;

 public:
  using const_iterator = ByPage::const_iterator;

  ExtentIndex();
  ExtentIndex(const ExtentIndex&) = delete;
  ExtentIndex& operator=(const ExtentIndex&) = delete;

  const_iterator begin() const { return by_page_.begin(); }
  const_iterator end() const { return by_page_.end(); }
  // The first extent that ends after `page`.
  const_iterator EndingAfter(PageId page) const;
  // The first extent that begins at `page` or after it.
  const_iterator BeginningFrom(PageId page) const {
    return by_page_.lower_bound(page);
  }

  bool Overlaps(PageRange pages) const;
  bool Overlaps(ImageRange image) const;

  // Calls `visit` for each extent that overlaps `image`, in image order.
  void ForEachOf(
      ImageRange image,
      absl::FunctionRef<void(PageId first, const Extent& extent)> visit) const;

  // REQUIRES: the extent is not empty and overlaps nothing.
  void Insert(PageId first, Extent extent);
  // The same, past all others, and not merged with them: cheap if the image
  // pages come in order, too.
  void Append(PageId first, Extent extent);

  // Takes out `pages`, splitting the extents that they cut, and hands each
  // piece to `taken`, which must not touch the index.
  void Remove(PageRange pages,
              absl::FunctionRef<void(PageId first, Extent extent)> taken);

  size_t size() const { return by_page_.size(); }
  // What the nodes take from the heap.
  size_t MemoryUsage() const { return node_bytes_; }

 private:
  // Makes `page` the first of its extent, if it is in one.
  void SplitAt(PageId page);

  size_t node_bytes_ = 0;  // Before the maps, which count in it.
  ByPage by_page_;
  Map<ImagePage, PageId> by_image_;  // First pages of each extent.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_EXTENT_INDEX_H_
