#include "lib/memory/extent_index.h"

#include <iterator>

#include "lib/base/log.h"

namespace pagelift {
namespace {

// Whether `second` at `page` continues `first`, which ends there.
bool Continues(const Extent& first, const Extent& second) {
  return first.image + first.count == second.image &&
         first.block == second.block;
}

}  // namespace

ExtentIndex::ExtentIndex()
    : by_page_(std::less<PageId>(), ByPage::allocator_type(&node_bytes_)),
      by_image_(std::less<ImagePage>(),
                Map<ImagePage, PageId>::allocator_type(&node_bytes_)) {}

ExtentIndex::const_iterator ExtentIndex::EndingAfter(PageId page) const {
  auto it = by_page_.upper_bound(page);
  if (it == by_page_.begin()) return it;
  auto before = std::prev(it);
  return page < before->first + before->second.count ? before : it;
}

bool ExtentIndex::Overlaps(PageRange pages) const {
  auto it = EndingAfter(pages.first);
  return it != by_page_.end() && it->first < pages.limit();
}

bool ExtentIndex::Overlaps(ImageRange image) const {
  auto it = by_image_.lower_bound(image.limit());
  if (it == by_image_.begin()) return false;
  const Extent& before = by_page_.find(std::prev(it)->second)->second;
  return image.first < before.image_range().limit();
}

void ExtentIndex::ForEachOf(
    ImageRange image,
    absl::FunctionRef<void(PageId first, const Extent& extent)> visit) const {
  auto it = by_image_.upper_bound(image.first);
  if (it != by_image_.begin()) --it;
  for (; it != by_image_.end() && it->first < image.limit(); ++it) {
    const Extent& extent = by_page_.find(it->second)->second;
    if (image.Overlaps(extent.image_range())) visit(it->second, extent);
  }
}

void ExtentIndex::Insert(PageId first, Extent extent) {
  DCHECK(!Overlaps(PageRange{first, extent.count}));
  DCHECK(!Overlaps(extent.image_range()));
  auto next = by_page_.lower_bound(first);
  if (next != by_page_.end() && next->first == first + extent.count &&
      Continues(extent, next->second)) {
    extent.count = extent.count + next->second.count;
    by_image_.erase(next->second.image);
    next = by_page_.erase(next);
  }
  if (next != by_page_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second.count == first &&
        Continues(before->second, extent)) {
      before->second.count = before->second.count + extent.count;
      return;
    }
  }
  by_image_.emplace(extent.image, first);
  by_page_.emplace_hint(next, first, std::move(extent));
}

void ExtentIndex::Append(PageId first, Extent extent) {
  by_image_.emplace_hint(by_image_.end(), extent.image, first);
  by_page_.emplace_hint(by_page_.end(), first, std::move(extent));
}

void ExtentIndex::Remove(
    PageRange pages,
    absl::FunctionRef<void(PageId first, Extent extent)> taken) {
  if (pages.empty()) return;
  SplitAt(pages.first);
  SplitAt(pages.limit());
  auto first = by_page_.lower_bound(pages.first);
  auto it = first;
  for (; it != by_page_.end() && it->first < pages.limit(); ++it) {
    by_image_.erase(it->second.image);
    taken(it->first, std::move(it->second));
  }
  by_page_.erase(first, it);
}

void ExtentIndex::SplitAt(PageId page) {
  auto it = by_page_.lower_bound(page);
  if (it == by_page_.begin()) return;
  auto before = std::prev(it);
  PageCount head = page - before->first;
  Extent& extent = before->second;
  if (!(head < extent.count)) return;
  Extent tail{extent.count - head, extent.image + head, extent.block.Share()};
  extent.count = head;
  by_image_.emplace(tail.image, page);
  by_page_.emplace_hint(it, page, std::move(tail));
}

}  // namespace pagelift
