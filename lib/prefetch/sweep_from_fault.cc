#include "lib/prefetch/sweep_from_fault.h"

namespace pagelift {

void SweepFromFault::OnFault(const DemandFault& fault) { next_ = fault.page; }

std::optional<PageMap::Piece> SweepFromFault::Next(MissingPages& pages,
                                                   PageCount most) {
  std::optional<PageMap::Piece> piece =
      pages.ClaimFirst(PageRange::Between(next_, kEveryPage.limit()), most);
  if (!piece.has_value()) piece = pages.ClaimFirst(kEveryPage, most);
  next_ = piece.has_value() ? piece->pages.limit() : kEveryPage.first;
  return piece;
}

}  // namespace pagelift
