#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_STORM_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_STORM_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/memory/page.h"

namespace pagelift {

// Does at random what programs do to their memory, and checks every byte that
// it reads: touches, writes, discards, moves to the same place in the pages
// from `other_home` on and back, splits mappings, forks children that check
// all. Page i of `pages`, which nobody else touches, is image page i past
// `first_image`. Returns how many pages were wrong; `message` then names the
// first.
int64_t RunStorm(PageRange pages, PageId other_home, PageCount first_image,
                 uint32_t seed, std::array<std::byte, kPageSize>& message);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_STORM_H_
