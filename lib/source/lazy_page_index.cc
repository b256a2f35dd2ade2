#include "lib/source/lazy_page_index.h"

#include <algorithm>
#include <iterator>

namespace pagelift {

LazyPageIndex::LazyPageIndex(const ImageDescription& image) {
  for (const TaskDescription& task : image.tasks) {
    for (const ImageExtent& extent : task.extents) {
      Add(task.pid, extent.pages.first, {extent.image, extent.pages.count});
    }
  }
}

std::optional<LazyPageIndex::Owner> LazyPageIndex::OwnerOf(
    ImageRange range) const {
  auto next = owners_.upper_bound(range.first);
  if (next == owners_.begin()) return std::nullopt;
  const auto& [first, owner] = *std::prev(next);
  PageCount skipped = range.first - first;
  if (!(skipped < owner.pages.count)) return std::nullopt;
  return Owner{owner.pid,
               {owner.pages.first + skipped,
                std::min(range.count, owner.pages.count - skipped)}};
}

// Fills the gaps that earlier tasks left in `image`.
void LazyPageIndex::Add(int32_t pid, PageId first, ImageRange image) {
  while (!image.empty()) {
    PageCount count;
    if (std::optional<Owner> earlier = OwnerOf(image)) {
      count = earlier->pages.count;
    } else {
      auto next = owners_.upper_bound(image.first);
      ImagePage limit = image.limit();
      if (next != owners_.end()) limit = std::min(limit, next->first);
      count = limit - image.first;
      owners_.insert({image.first, Owner{pid, {first, count}}});
    }
    first = first + count;
    image = ImageRange::Between(image.first + count, image.limit());
  }
}

}  // namespace pagelift
