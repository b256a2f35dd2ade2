#include "tests/e2e/targets/page_walk.h"

#include <algorithm>
#include <random>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::e2e {
namespace {

enum class Rewriting { kNone, kOneInFour };

WalkResult WalkOnce(const std::vector<PageRef>& pages, uint64_t seed,
                    Rewriting rewriting) {
  WalkResult result;
  for (const PageRef& page : pages) {
    result.first_wrong = page.region->Check(page.index);
    if (result.first_wrong.has_value()) return result;
    ++result.checked;
    if (rewriting == Rewriting::kOneInFour && page.region->writable() &&
        Scramble(seed + page.index) % 4 == 0) {
      page.region->Rewrite(page.index);
      ++result.rewritten;
    }
  }
  return result;
}

void Shuffle(std::vector<PageRef>& pages, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::shuffle(pages.begin(), pages.end(), random);
}

}  // namespace

void WalkResult::Add(const WalkResult& other) {
  checked += other.checked;
  rewritten += other.rewritten;
  if (!first_wrong.has_value()) first_wrong = other.first_wrong;
}

std::string WalkResult::ToString() const {
  if (first_wrong.has_value()) return "WRONG " + *first_wrong;
  return "OK pages=" + std::to_string(checked) +
         " rewritten=" + std::to_string(rewritten);
}

void AppendShare(PatternedRegion& region, size_t walker, size_t walkers,
                 std::vector<PageRef>& pages) {
  for (size_t index = walker; index < region.pages(); index += walkers) {
    pages.push_back({&region, index});
  }
}

WalkResult WalkAndRewrite(std::vector<PageRef> pages, uint64_t order_seed) {
  Shuffle(pages, order_seed);
  WalkResult result = WalkOnce(pages, order_seed, Rewriting::kOneInFour);
  if (result.first_wrong.has_value()) return result;
  Shuffle(pages, order_seed + 1);
  result.Add(WalkOnce(pages, order_seed, Rewriting::kNone));
  return result;
}

WalkResult Walk(std::vector<PageRef> pages, uint64_t order_seed) {
  Shuffle(pages, order_seed);
  return WalkOnce(pages, order_seed, Rewriting::kNone);
}

}  // namespace pagelift::e2e
