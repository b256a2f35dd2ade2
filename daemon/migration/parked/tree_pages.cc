#include "daemon/migration/parked/tree_pages.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace pagelift {

absl::StatusOr<TreePages> TreePages::Of(const ImageDescription& description,
                                        const FrozenTree& tree) {
  std::vector<Segment> segments;
  for (const TaskDescription& task : description.tasks) {
    if (task.extents.empty()) continue;
    const FrozenTask* frozen = tree.FindTask(task.pid);
    if (frozen == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "task ", task.pid, " of the images is not in the frozen tree"));
    }
    for (const ImageExtent& extent : task.extents) {
      segments.push_back(
          {{extent.image, extent.pages.count}, frozen, extent.pages.first});
    }
  }
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) {
              return a.range.first < b.range.first;
            });
  ImagePage next;
  for (const Segment& segment : segments) {
    if (segment.range.first != next) break;
    next = segment.range.limit();
  }
  if (next != ImagePage(description.page_count.raw())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "image page ", next.raw(), " is in no task of the images, or in two"));
  }
  return TreePages(std::move(segments));
}

absl::StatusOr<PageCount> TreePages::Read(ImageRange range,
                                          absl::Span<std::byte> buffer) const {
  const auto next = std::upper_bound(
      segments_.begin(), segments_.end(), range.first,
      [](ImagePage page, const Segment& s) { return page < s.range.first; });
  const Segment& segment = *std::prev(next);
  const ImageRange part = segment.range.Intersect(range);
  const PageCount count =
      std::min(part.count, PageCount(buffer.size() / kPageSize));
  return segment.task->Read(segment.first + (part.first - segment.range.first),
                            buffer.first(count.bytes()));
}

}  // namespace pagelift
