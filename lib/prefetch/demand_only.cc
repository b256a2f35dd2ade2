#include "lib/prefetch/demand_only.h"

namespace pagelift {

void DemandOnly::OnFault(const DemandFault& /*fault*/) {}

std::optional<PageMap::Piece> DemandOnly::Next(MissingPages& /*pages*/,
                                               PageCount /*most*/) {
  return std::nullopt;
}

}  // namespace pagelift
