#include "lib/prefetch/sweep_from_fault.h"

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

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

std::vector<PageRange> Take(SweepFromFault& sweep, MissingPages& pages,
                            int runs, uint64_t most) {
  std::vector<PageRange> taken;
  for (int i = 0; i < runs; ++i) {
    std::optional<PageMap::Piece> piece = sweep.Next(pages, PageCount(most));
    if (!piece.has_value()) break;
    taken.push_back(piece->pages);
  }
  return taken;
}

TEST(SweepFromFaultTest, BeginsWithTheLowestAddress) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 110));
  pages.Add(Pages(500, 505));
  SweepFromFault sweep;
  EXPECT_THAT(Take(sweep, pages, 9, 8),
              ElementsAre(Pages(100, 108), Pages(108, 110), Pages(500, 505)));
}

TEST(SweepFromFaultTest, JumpsToTheFaultAndGoesOnThere) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 200));
  SweepFromFault sweep;
  Take(sweep, pages, 1, 8);
  pages.Claim(PageId(150));
  sweep.OnFault({PageId(150), MissingPagesModel::ImageOf(PageId(150))});
  EXPECT_THAT(Take(sweep, pages, 2, 8),
              ElementsAre(Pages(151, 159), Pages(159, 167)));
}

TEST(SweepFromFaultTest, TurnsRoundAtTheTop) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 120));
  SweepFromFault sweep;
  sweep.OnFault({PageId(110), MissingPagesModel::ImageOf(PageId(110))});
  EXPECT_THAT(Take(sweep, pages, 9, 8),
              ElementsAre(Pages(110, 118), Pages(118, 120), Pages(100, 108),
                          Pages(108, 110)));
}

}  // namespace
}  // namespace pagelift
