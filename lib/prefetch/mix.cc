#include "lib/prefetch/mix.h"

#include <utility>

namespace pagelift {

Mix::Mix(std::vector<ImagePage> recorded) : replay_(std::move(recorded)) {}

void Mix::OnFault(const DemandFault& fault) {
  streams_.OnFault(fault);
  replay_.OnFault(fault);
  bubble_.OnFault(fault);
}

std::optional<PageMap::Piece> Mix::Next(MissingPages& pages, PageCount most) {
  std::optional<PageMap::Piece> piece = streams_.Next(pages, most);
  if (piece.has_value()) return piece;
  if (replay_ahead_ <= 0) piece = replay_.Next(pages, most);
  if (piece.has_value()) {
    replay_ahead_ += static_cast<int64_t>(piece->pages.count.raw());
    return piece;
  }
  piece = bubble_.Next(pages, most);
  if (piece.has_value() && !replay_.ended()) {
    replay_ahead_ -= static_cast<int64_t>(piece->pages.count.raw());
  }
  return piece;
}

}  // namespace pagelift
