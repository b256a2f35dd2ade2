#include "lib/memory/page.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(PageTest, PagesAndAddressesConvertBothWays) {
  EXPECT_EQ(PageContaining(0x7fff12345678), PageId(0x7fff12345));
  EXPECT_EQ(AddressOf(PageId(0x7fff12345)), 0x7fff12345000u);
  EXPECT_EQ(PageCount(3).bytes(), 12288u);
}

TEST(PageTest, CountsBeyondThirtyTwoBitsSurvive) {
  PageRange range = PagesOf(0x1000, uint64_t{1} << 46);
  EXPECT_EQ(range.count.bytes(), (uint64_t{1} << 46) - 0x1000);
  EXPECT_EQ(AddressOf(range.limit()), uint64_t{1} << 46);
}

TEST(PageRangeTest, IsHalfOpen) {
  PageRange range{PageId(10), PageCount(3)};
  EXPECT_TRUE(range.Contains(PageId(10)));
  EXPECT_TRUE(range.Contains(PageId(12)));
  EXPECT_FALSE(range.Contains(PageId(13)));
  EXPECT_FALSE(range.Overlaps({PageId(13), PageCount(1)}));
  EXPECT_TRUE(range.Overlaps({PageId(12), PageCount(9)}));
}

TEST(PageRangeTest, IntersectionOfApartRangesIsEmpty) {
  PageRange range{PageId(10), PageCount(3)};
  EXPECT_TRUE(range.Intersect({PageId(20), PageCount(1)}).empty());
  EXPECT_EQ(range.Intersect({PageId(0), PageCount(11)}),
            (PageRange{PageId(10), PageCount(1)}));
}

TEST(PageRangeTest, PrintsAddressesAndCount) {
  EXPECT_EQ(ToString(PagesOf(0x7f0000000000, 0x7f0000003000)),
            "[0x7f0000000000..0x7f0000003000 3p]");
  EXPECT_EQ(ToString(ImageRange{ImagePage(12), PageCount(3)}), "[12..15 3p]");
}

}  // namespace
}  // namespace pagelift
