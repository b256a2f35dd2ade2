#include "lib/prefetch/bubble.h"

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

DemandFault FaultAt(uint64_t page) {
  return {PageId(page), MissingPagesModel::ImageOf(PageId(page))};
}

// What it brings, in order, by runs of at most `most`.
std::vector<PageRange> Take(Bubble& bubble, MissingPages& pages, int runs,
                            uint64_t most) {
  std::vector<PageRange> taken;
  for (int i = 0; i < runs; ++i) {
    std::optional<PageMap::Piece> piece = bubble.Next(pages, PageCount(most));
    if (!piece.has_value()) break;
    taken.push_back(piece->pages);
  }
  return taken;
}

TEST(BubbleTest, ComesDownFromTheStackBeforeTheFirstFault) {
  MissingPagesModel pages;
  pages.Add(Pages(100, 110));
  pages.Add(Pages(500, 510));
  Bubble bubble;
  EXPECT_THAT(Take(bubble, pages, 9, 8),
              ElementsAre(Pages(502, 510), Pages(500, 502), Pages(102, 110),
                          Pages(100, 102)));
}

TEST(BubbleTest, GoesOutwardFromTheFaultByGrowingRuns) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 1000));
  pages.Claim(PageId(500));
  Bubble bubble;
  bubble.OnFault(FaultAt(500));
  EXPECT_THAT(Take(bubble, pages, 5, 4),
              ElementsAre(Pages(501, 503), Pages(498, 500), Pages(503, 507),
                          Pages(494, 498), Pages(507, 511)));
}

TEST(BubbleTest, FollowsTheLatestFault) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 1000));
  Bubble bubble;
  bubble.OnFault(FaultAt(500));
  Take(bubble, pages, 6, 32);
  pages.Claim(PageId(100));
  bubble.OnFault(FaultAt(100));
  EXPECT_THAT(Take(bubble, pages, 2, 32),
              ElementsAre(Pages(101, 117), Pages(84, 100)));
}

TEST(BubbleTest, OneEdgeGoesOnWhereTheOtherHasEnded) {
  MissingPagesModel pages;
  pages.Add(Pages(10, 60));
  pages.Claim(PageId(10));
  Bubble bubble;
  bubble.OnFault(FaultAt(10));
  EXPECT_THAT(Take(bubble, pages, 9, 32),
              ElementsAre(Pages(11, 27), Pages(27, 43), Pages(43, 60)));
}

TEST(BubbleTest, NeverGivesMoreThanIsWanted) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 1000));
  Bubble bubble;
  bubble.OnFault(FaultAt(500));
  EXPECT_THAT(Take(bubble, pages, 2, 1),
              ElementsAre(Pages(501, 502), Pages(499, 500)));
}

TEST(BubbleTest, FindsWhatIsMissingAgain) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 20));
  Bubble bubble;
  Take(bubble, pages, 9, 64);
  ASSERT_TRUE(pages.left().empty());
  pages.Add(Pages(5, 6));  // Given back.
  EXPECT_THAT(Take(bubble, pages, 1, 64), ElementsAre(Pages(5, 6)));
}

}  // namespace
}  // namespace pagelift
