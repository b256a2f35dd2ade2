#ifndef TESTS_E2E_TARGETS_PAGE_WALK_H_
#define TESTS_E2E_TARGETS_PAGE_WALK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/targets/patterned_region.h"

namespace pagelift::e2e {

struct PageRef {
  PatternedRegion* region = nullptr;
  size_t index = 0;
};

// What a walk over pages found.
struct WalkResult {
  size_t checked = 0;
  size_t rewritten = 0;
  std::optional<std::string> first_wrong;

  void Add(const WalkResult& other);

  // "OK pages=... rewritten=..." or "WRONG page=...".
  std::string ToString() const;
};

// Appends the pages of `region` that are the share of walker `walker` of
// `walkers`.
void AppendShare(PatternedRegion& region, size_t walker, size_t walkers,
                 std::vector<PageRef>& pages);

// Reads every byte of `pages` in an order drawn from `order_seed`, rewrites one
// in four of the writable ones on the way, and reads everything once more in
// another order. Stops at the first wrong page.
WalkResult WalkAndRewrite(std::vector<PageRef> pages, uint64_t order_seed);

// Reads every byte of `pages` once, in an order drawn from `order_seed`.
WalkResult Walk(std::vector<PageRef> pages, uint64_t order_seed);

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_PAGE_WALK_H_
