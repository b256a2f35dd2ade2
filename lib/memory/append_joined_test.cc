#include "lib/memory/append_joined.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(AppendJoinedTest, NeighboursAreJoined) {
  std::vector<PageRange> ranges;
  AppendJoined(ranges, {PageId(1), PageCount(2)});
  AppendJoined(ranges, {PageId(3), PageCount(1)});
  AppendJoined(ranges, {PageId(5), PageCount(1)});
  EXPECT_THAT(ranges,
              ::testing::ElementsAre(PageRange{PageId(1), PageCount(3)},
                                     PageRange{PageId(5), PageCount(1)}));
}

}  // namespace
}  // namespace pagelift
