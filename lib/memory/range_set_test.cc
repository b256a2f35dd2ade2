#include "lib/memory/range_set.h"

#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PageRange Pages(uint64_t first, uint64_t limit) {
  return PageRange::Between(PageId(first), PageId(limit));
}

TEST(RangeSetTest, NeighboursBecomeOne) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  set.Insert(Pages(30, 40));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 20), Pages(30, 40)));
  set.Insert(Pages(20, 30));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 40)));
}

TEST(RangeSetTest, InsertAbsorbsWhatItOverlaps) {
  RangeSet set;
  set.Insert(Pages(10, 12));
  set.Insert(Pages(20, 22));
  set.Insert(Pages(30, 40));
  set.Insert(Pages(11, 35));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 40)));
  set.Insert(Pages(15, 16));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 40)));
}

TEST(RangeSetTest, EraseSplits) {
  RangeSet set;
  set.Insert(Pages(10, 40));
  set.Erase(Pages(20, 25));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 20), Pages(25, 40)));
  EXPECT_EQ(set.size(), PageCount(25));
}

TEST(RangeSetTest, EraseTakesWholeRangesAndTheEdgesOfOthers) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  set.Insert(Pages(22, 24));
  set.Insert(Pages(30, 40));
  set.Erase(Pages(15, 35));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(10, 15), Pages(35, 40)));
  set.Erase(Pages(10, 15));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(35, 40)));
  set.Erase(Pages(0, 100));
  EXPECT_TRUE(set.empty());
}

TEST(RangeSetTest, EmptyRangesChangeNothing) {
  RangeSet set;
  set.Insert(Pages(5, 5));
  EXPECT_TRUE(set.empty());
  set.Insert(Pages(0, 10));
  set.Erase(Pages(5, 5));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(0, 10)));
  EXPECT_FALSE(set.Overlaps(Pages(5, 5)));
  EXPECT_THAT(set.Intersect(Pages(5, 5)), IsEmpty());
}

TEST(RangeSetTest, ContainsAndOverlapsAreHalfOpen) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  EXPECT_FALSE(set.Contains(PageId(9)));
  EXPECT_TRUE(set.Contains(PageId(10)));
  EXPECT_TRUE(set.Contains(PageId(19)));
  EXPECT_FALSE(set.Contains(PageId(20)));
  EXPECT_FALSE(set.Overlaps(Pages(0, 10)));
  EXPECT_TRUE(set.Overlaps(Pages(0, 11)));
  EXPECT_TRUE(set.Overlaps(Pages(19, 30)));
  EXPECT_FALSE(set.Overlaps(Pages(20, 30)));
}

TEST(RangeSetTest, RangeAroundIsTheWholeRangeOrEmpty) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  EXPECT_EQ(set.RangeAround(PageId(15)), Pages(10, 20));
  EXPECT_TRUE(set.RangeAround(PageId(20)).empty());
  EXPECT_TRUE(set.RangeAround(PageId(3)).empty());
}

TEST(RangeSetTest, IntersectCutsTheEdges) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  set.Insert(Pages(30, 40));
  set.Insert(Pages(50, 60));
  EXPECT_THAT(set.Intersect(Pages(15, 55)),
              ElementsAre(Pages(15, 20), Pages(30, 40), Pages(50, 55)));
  EXPECT_THAT(set.Intersect(Pages(20, 30)), IsEmpty());
}

TEST(RangeSetTest, GapBeginsAfterTheRangeAndEndsBeforeTheNext) {
  RangeSet set;
  set.Insert(Pages(10, 20));
  set.Insert(Pages(30, 40));
  EXPECT_EQ(set.GapFrom(PageId(0)), Pages(0, 10));
  EXPECT_EQ(set.GapFrom(PageId(10)), Pages(20, 30));
  EXPECT_EQ(set.GapFrom(PageId(25)), Pages(25, 30));
  EXPECT_EQ(set.GapFrom(PageId(39)), Pages(40, ~uint64_t{0}));
}

TEST(RangeSetTest, GapUpToEndsBeforeTheRange) {
  RangeSet set;
  EXPECT_EQ(set.GapUpTo(PageId(7)), Pages(0, 7));
  set.Insert(Pages(10, 20));
  set.Insert(Pages(30, 40));
  EXPECT_EQ(set.GapUpTo(PageId(50)), Pages(40, 50));
  EXPECT_EQ(set.GapUpTo(PageId(40)), Pages(20, 30));
  EXPECT_EQ(set.GapUpTo(PageId(35)), Pages(20, 30));
  EXPECT_EQ(set.GapUpTo(PageId(30)), Pages(20, 30));
  EXPECT_EQ(set.GapUpTo(PageId(25)), Pages(20, 25));
  EXPECT_EQ(set.GapUpTo(PageId(11)), Pages(0, 10));
  EXPECT_TRUE(set.GapUpTo(PageId(0)).empty());
}

TEST(RangeSetTest, TheLastPageOfAllIsAPageLikeOthers) {
  constexpr uint64_t kEnd = ~uint64_t{0};
  RangeSet set;
  set.Insert(Pages(kEnd - 10, kEnd));
  EXPECT_TRUE(set.Contains(PageId(kEnd - 1)));
  EXPECT_TRUE(set.GapFrom(PageId(kEnd - 5)).empty());
  set.Erase(Pages(kEnd - 1, kEnd));
  EXPECT_THAT(set.ranges(), ElementsAre(Pages(kEnd - 10, kEnd - 1)));
}

}  // namespace
}  // namespace pagelift
