// Long random sequences of operations, each followed by all look-ups, on a
// PageMap and on a model that knows nothing of extents.

#include <cstdint>
#include <random>

#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/testing/page_map_exerciser.h"

namespace pagelift {
namespace {

struct Place {
  const char* name;
  uint64_t base;
  uint64_t image_base;
  uint64_t space;
  int seeds;
  int steps;
};

class PageMapModelTest : public ::testing::TestWithParam<Place> {};

TEST_P(PageMapModelTest, MapAndModelAgreeAfterEveryStep) {
  const Place& place = GetParam();
  for (int seed = 1; seed <= place.seeds; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    PageMapExerciser exerciser(PageId(place.base), ImagePage(place.image_base),
                               PageCount(place.space));
    for (int step = 0; step < place.steps; ++step) {
      uint8_t bytes[24];
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
      DecisionBytes decisions(bytes);
      ASSERT_EQ(exerciser.Step(decisions), "")
          << "seed " << seed << " step " << step;
    }
  }
}

constexpr uint64_t kEnd = ~uint64_t{0};

INSTANTIATE_TEST_SUITE_P(
    Places, PageMapModelTest,
    ::testing::Values(
        Place{"TinyAtTheBeginning", 0, 0, 24, 100, 300},
        Place{"TinyAtTheEnd", kEnd - 24, kEnd - 24, 24, 100, 300},
        Place{"SomeWordsAboveAllAddresses", uint64_t{1} << 52,
              uint64_t{1} << 40, 150, 40, 400},
        Place{"ManyGrainsAtTheBeginning", 0, 7, 3000, 4, 500},
        Place{"ManyGrainsInTheMiddle", 0x7f0123456, 1000001, 3000, 4, 500},
        Place{"ManyGrainsAtTheEnd", kEnd - 3000, 5, 3000, 4, 500}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace pagelift
