#include "lib/prefetch/address_sweep.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/prefetch/testing/missing_pages_model.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;

constexpr AddressSweep::Runs kRuns = {PageCount(4), PageCount(2), PageCount(8)};

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

std::vector<PageRange> Take(AddressSweep& sweep, MissingPages& pages, int runs,
                            uint64_t most) {
  std::vector<PageRange> taken;
  for (int i = 0; i < runs; ++i) {
    std::optional<PageMap::Piece> piece = sweep.Next(pages, PageCount(most));
    if (!piece.has_value()) break;
    taken.push_back(piece->pages);
  }
  return taken;
}

TEST(AddressSweepTest, GoesUpByGrowingRunsUntilNothingIsMissing) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 130));
  pages.Add(Pages(500, 503));
  AddressSweep sweep(kRuns);
  EXPECT_THAT(Take(sweep, pages, 9, 100),
              ElementsAre(Pages(100, 104), Pages(104, 110), Pages(110, 118),
                          Pages(118, 126), Pages(126, 130), Pages(500, 503)));
}

TEST(AddressSweepTest, AFaultMakesRunsSmallAndMovesNothing) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 130));
  pages.Add(Pages(500, 600));
  AddressSweep sweep(kRuns);
  Take(sweep, pages, 2, 100);
  sweep.OnFault({PageId(550), MissingPagesModel::ImageOf(PageId(550))});
  EXPECT_THAT(Take(sweep, pages, 2, 100),
              ElementsAre(Pages(110, 114), Pages(114, 120)));
}

TEST(AddressSweepTest, TakesNoMoreThanIsAskedFor) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 130));
  AddressSweep sweep(kRuns);
  EXPECT_THAT(Take(sweep, pages, 2, 3),
              ElementsAre(Pages(100, 103), Pages(103, 106)));
}

}  // namespace
}  // namespace pagelift
