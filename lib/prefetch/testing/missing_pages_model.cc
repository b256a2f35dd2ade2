#include "lib/prefetch/testing/missing_pages_model.h"

#include <iterator>

namespace pagelift {

void MissingPagesModel::Add(PageRange pages) {
  for (PageId page = pages.first; page < pages.limit();
       page = page + PageCount(1)) {
    missing_.insert(page.raw());
  }
}

bool MissingPagesModel::Claim(PageId page) {
  return missing_.erase(page.raw()) > 0;
}

std::optional<PageMap::Piece> MissingPagesModel::ClaimFirst(PageRange within,
                                                            PageCount most) {
  auto it = missing_.lower_bound(within.first.raw());
  if (it == missing_.end() || within.limit().raw() <= *it) return std::nullopt;
  PageRange pages{PageId(*it), PageCount(0)};
  while (pages.count < most && it != missing_.end() &&
         *it == pages.limit().raw() && within.Contains(pages.limit())) {
    it = missing_.erase(it);
    pages.count = pages.count + PageCount(1);
  }
  return PageMap::Piece{pages, ImageOf(pages.first)};
}

std::optional<PageMap::Piece> MissingPagesModel::ClaimLast(PageRange within,
                                                           PageCount most) {
  auto it = missing_.lower_bound(within.limit().raw());
  if (it == missing_.begin() || *std::prev(it) < within.first.raw()) {
    return std::nullopt;
  }
  PageRange pages{PageId(*std::prev(it)), PageCount(1)};
  while (pages.count < most && within.first < pages.first &&
         missing_.count(pages.first.raw() - 1) > 0) {
    pages = {pages.first - PageCount(1), pages.count + PageCount(1)};
  }
  for (uint64_t i = 0; i < pages.count.raw(); ++i) {
    missing_.erase(pages.first.raw() + i);
  }
  return PageMap::Piece{pages, ImageOf(pages.first)};
}

std::optional<PageMap::Piece> MissingPagesModel::ClaimImage(ImageRange image,
                                                            PageCount most) {
  return ClaimFirst({PageId((image.first - kImageBase).raw()), image.count},
                    most);
}

}  // namespace pagelift
