#include "lib/prefetch/replay.h"

#include <cstdint>
#include <optional>
#include <utility>
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
using ::testing::IsEmpty;

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

ImagePage Image(uint64_t page) {
  return MissingPagesModel::ImageOf(PageId(page));
}

Replay ReplayOf(const std::vector<uint64_t>& order) {
  std::vector<ImagePage> pages;
  for (uint64_t page : order) pages.push_back(Image(page));
  return Replay(std::move(pages));
}

std::vector<PageRange> TakeAll(Replay& replay, MissingPages& pages,
                               uint64_t most = 64) {
  std::vector<PageRange> taken;
  while (std::optional<PageMap::Piece> piece =
             replay.Next(pages, PageCount(most))) {
    taken.push_back(piece->pages);
  }
  return taken;
}

TEST(ReplayTest, HasNothingToGiveWithoutARecording) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 10));
  Replay replay = ReplayOf({});
  EXPECT_TRUE(replay.ended());
  EXPECT_THAT(TakeAll(replay, pages), IsEmpty());
}

TEST(ReplayTest, BringsAlongWhatLiesBehindAndWasTouchedLater) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 100));
  Replay replay = ReplayOf({7, 50, 8, 6, 20, 9});
  EXPECT_THAT(TakeAll(replay, pages), ElementsAre(Pages(7, 10), Pages(50, 51),
                                                  Pages(6, 7), Pages(20, 21)));
  EXPECT_TRUE(replay.ended());
}

TEST(ReplayTest, BringsAlongNoMoreThanAFew) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 100));
  std::vector<uint64_t> order = {40, 80};
  for (uint64_t page = 51; page > 40; --page) order.push_back(page);
  Replay replay = ReplayOf(order);
  EXPECT_THAT(TakeAll(replay, pages),
              ElementsAre(Pages(40, 48), Pages(80, 81), Pages(51, 52),
                          Pages(50, 51), Pages(49, 50), Pages(48, 49)));
}

TEST(ReplayTest, GoesOnForAsLongAsTheOrderIsThatOfMemory) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 1000));
  std::vector<uint64_t> order;
  for (uint64_t i = 0; i < 64; ++i) order.push_back(500 + i);
  for (uint64_t i = 0; i < 64; ++i) order.push_back(100 + i);
  Replay replay = ReplayOf(order);
  EXPECT_THAT(TakeAll(replay, pages),
              ElementsAre(Pages(500, 564), Pages(100, 164)));
}

TEST(ReplayTest, PassesOverWhatIsNotMissing) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 100));
  pages.Claim(PageId(11));
  pages.Claim(PageId(30));
  Replay replay = ReplayOf({10, 11, 12, 30});
  EXPECT_THAT(TakeAll(replay, pages),
              ElementsAre(Pages(10, 11), Pages(12, 13)));
}

TEST(ReplayTest, GivesNoMoreThanIsWanted) {
  MissingPagesModel pages;
  pages.Add(Pages(0, 100));
  Replay replay = ReplayOf({10, 11, 12});
  EXPECT_THAT(TakeAll(replay, pages, 2),
              ElementsAre(Pages(10, 12), Pages(12, 13)));
}

class ReplayOfStrangeRunTest : public ::testing::Test {
 protected:
  ReplayOfStrangeRunTest() : replay_(ReplayOf({1, 2, 3, 4, 5})) {
    pages_.Add(Pages(0, 100));
  }

  // Of a thousand faults, so many on recorded pages.
  void Fault(uint64_t recorded) {
    for (uint64_t i = 0; i < 1000; ++i) {
      const uint64_t page = i < recorded ? 1 + i % 5 : 2000 + i;
      replay_.OnFault({PageId(page), Image(page)});
    }
  }

  MissingPagesModel pages_;
  Replay replay_;
};

TEST_F(ReplayOfStrangeRunTest, GoesOnWhileATenthOfTheFaultsIsInIt) {
  Fault(100);
  EXPECT_THAT(TakeAll(replay_, pages_), ElementsAre(Pages(1, 6)));
}

TEST_F(ReplayOfStrangeRunTest, StopsWhenLessIs) {
  Fault(99);
  EXPECT_TRUE(replay_.ended());
  EXPECT_THAT(TakeAll(replay_, pages_), IsEmpty());
}

}  // namespace
}  // namespace pagelift
