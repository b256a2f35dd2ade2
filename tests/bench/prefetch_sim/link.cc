#include "tests/bench/prefetch_sim/link.h"

#include <algorithm>

namespace pagelift::bench {

absl::Duration LinkModel::TimeOf(PageCount pages) const {
  return per_message +
         absl::Seconds(static_cast<double>(pages.bytes()) / bytes_per_second);
}

absl::Duration Link::Send(PageCount pages, absl::Duration now) {
  free_at_ = std::max(free_at_, now) + model_.TimeOf(pages);
  return free_at_ + model_.round_trip / 2;
}

}  // namespace pagelift::bench
