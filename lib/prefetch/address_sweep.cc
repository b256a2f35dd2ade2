#include "lib/prefetch/address_sweep.h"

#include <algorithm>

namespace pagelift {

AddressSweep::AddressSweep(Runs runs) : runs_(runs), run_(runs.first) {}

void AddressSweep::OnFault(const DemandFault& /*fault*/) { run_ = runs_.first; }

std::optional<PageMap::Piece> AddressSweep::Next(MissingPages& pages,
                                                 PageCount most) {
  const PageCount run = std::min(most, run_);
  run_ = std::min(runs_.largest, run_ + runs_.step);
  return pages.ClaimFirst(kEveryPage, run);
}

}  // namespace pagelift
