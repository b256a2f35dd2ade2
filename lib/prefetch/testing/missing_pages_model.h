#ifndef PAGELIFT_LIB_PREFETCH_TESTING_MISSING_PAGES_MODEL_H_
#define PAGELIFT_LIB_PREFETCH_TESTING_MISSING_PAGES_MODEL_H_

#include <cstdint>
#include <optional>
#include <set>

#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"

namespace pagelift {

// Missing pages, kept the simple way. A page's contents are those of the image
// page kImageBase before it, so that the two cannot be taken for one another.
class MissingPagesModel : public MissingPages {
 public:
  static constexpr PageCount kImageBase{1000000};
  static constexpr ImagePage ImageOf(PageId page) {
    return ImagePage((page + kImageBase).raw());
  }

  void Add(PageRange pages);
  // A fault claims it. False if it is not missing.
  bool Claim(PageId page);
  const std::set<uint64_t>& left() const { return missing_; }

  std::optional<PageMap::Piece> ClaimFirst(PageRange within,
                                           PageCount most) override;
  std::optional<PageMap::Piece> ClaimLast(PageRange within,
                                          PageCount most) override;
  std::optional<PageMap::Piece> ClaimImage(ImageRange image,
                                           PageCount most) override;

 private:
  std::set<uint64_t> missing_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_TESTING_MISSING_PAGES_MODEL_H_
