#include "daemon/pager/session/image_owners.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pagelift {

absl::StatusOr<ImageOwners> ImageOwners::Of(
    const ImageDescription& description) {
  std::vector<Owned> all;
  for (size_t task = 0; task < description.tasks.size(); ++task) {
    for (const ImageExtent& extent : description.tasks[task].extents) {
      all.push_back({{extent.image, extent.pages.count}, task});
    }
  }
  std::sort(all.begin(), all.end(), [](const Owned& a, const Owned& b) {
    return a.pages.first < b.pages.first;
  });
  ImageOwners owners;
  for (const Owned& next : all) {
    if (!owners.owned_.empty()) {
      Owned& last = owners.owned_.back();
      if (next.pages.first < last.pages.limit()) {
        return absl::InvalidArgumentError(
            absl::StrCat("image pages ", ToString(next.pages),
                         " belong to more than one place"));
      }
      if (last.task == next.task && last.pages.limit() == next.pages.first) {
        last.pages.count = last.pages.count + next.pages.count;
        continue;
      }
    }
    owners.owned_.push_back(next);
  }
  return owners;
}

void ImageOwners::ForEach(
    ImageRange range,
    absl::FunctionRef<void(ImageRange, size_t task)> visit) const {
  auto it = std::upper_bound(
      owned_.begin(), owned_.end(), range.first,
      [](ImagePage page, const Owned& o) { return page < o.pages.limit(); });
  for (; it != owned_.end() && it->pages.first < range.limit(); ++it) {
    visit(it->pages.Intersect(range), it->task);
  }
}

}  // namespace pagelift
