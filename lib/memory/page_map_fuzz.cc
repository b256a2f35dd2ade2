// Any sequence of operations leaves a PageMap that answers as its model does.

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/log.h"
#include "lib/memory/page.h"
#include "lib/memory/testing/page_map_exerciser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Few pages meet each other more often; many reach across words and grains.
  static constexpr uint64_t kSpaces[] = {24, 150, 1500};
  pagelift::DecisionBytes decisions({data, size});
  pagelift::PageCount space(kSpaces[decisions.Below(3)]);
  // At the beginning, in the middle, and at the very end of all pages.
  const uint64_t bases[] = {0, (uint64_t{1} << 45) + 1000,
                            ~uint64_t{0} - space.raw()};
  pagelift::PageMapExerciser exerciser(
      pagelift::PageId(bases[decisions.Below(3)]),
      pagelift::ImagePage(bases[decisions.Below(3)]), space);
  while (!decisions.empty()) {
    std::string difference = exerciser.Step(decisions);
    CHECK(difference.empty()) << difference;
  }
  return 0;
}
