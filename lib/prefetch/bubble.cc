#include "lib/prefetch/bubble.h"

#include <algorithm>

namespace pagelift {
namespace {

// A message has its price, which shows where the link's does not: there, runs
// begin longer.
constexpr PageCount kFirstRun{2};
constexpr uint64_t kDoublings = 1;  // From the first run to the longest.

}  // namespace

void Bubble::OnFault(const DemandFault& fault) {
  below_ = fault.page;
  above_ = fault.page + PageCount(1);
  run_ = kFirstRun;
  upward_ = true;
}

std::optional<PageMap::Piece> Bubble::Next(MissingPages& pages,
                                           PageCount most) {
  const PageCount run =
      std::min(most, std::max(run_, PageCount(most.raw() >> kDoublings)));
  const bool upward = upward_;
  upward_ = !upward_;
  if (!upward) run_ = run + run;
  std::optional<PageMap::Piece> piece =
      upward ? Above(pages, run) : Below(pages, run);
  if (!piece.has_value()) {
    piece = upward ? Below(pages, run) : Above(pages, run);
  }
  if (!piece.has_value()) {
    // What it had claimed may have been given back.
    below_ = kEveryPage.limit();
    piece = Below(pages, run);
  }
  return piece;
}

std::optional<PageMap::Piece> Bubble::Above(MissingPages& pages,
                                            PageCount most) {
  std::optional<PageMap::Piece> piece =
      pages.ClaimFirst(PageRange::Between(above_, kEveryPage.limit()), most);
  above_ = piece.has_value() ? piece->pages.limit() : kEveryPage.limit();
  return piece;
}

std::optional<PageMap::Piece> Bubble::Below(MissingPages& pages,
                                            PageCount most) {
  std::optional<PageMap::Piece> piece =
      pages.ClaimLast(PageRange::Between(kEveryPage.first, below_), most);
  below_ = piece.has_value() ? piece->pages.first : kEveryPage.first;
  return piece;
}

}  // namespace pagelift
