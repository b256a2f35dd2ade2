#include "lib/memory/settled_ranges.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

constexpr uint64_t kGrain = SettledRanges::kGrain.raw();

PageRange Grains(uint64_t first, uint64_t count) {
  return {PageId(first * kGrain), PageCount(count * kGrain)};
}

TEST(SettledRangesTest, NothingIsSettledAtFirst) {
  SettledRanges settled;
  PageRange stretch = settled.NextUnsettled(PageId(5)).pages;
  EXPECT_EQ(stretch.first, PageId(5));
  EXPECT_EQ(stretch.limit(), PageId(~uint64_t{0}));
}

TEST(SettledRangesTest, WhatIsSettledIsSkipped) {
  SettledRanges settled;
  settled.Settle(Grains(2, 3), settled.NextUnsettled(PageId(0)).version);
  EXPECT_EQ(settled.NextUnsettled(PageId(0)).pages, Grains(0, 2));
  EXPECT_EQ(settled.NextUnsettled(Grains(3, 1).first).pages.first,
            Grains(5, 1).first);
}

TEST(SettledRangesTest, WhatIsSettledIsSkippedFromTheEnd) {
  SettledRanges settled;
  settled.Settle(Grains(2, 3), settled.LastUnsettled(PageId(0)).version);
  EXPECT_EQ(settled.LastUnsettled(Grains(7, 1).first).pages, Grains(5, 2));
  EXPECT_EQ(settled.LastUnsettled(Grains(5, 1).first).pages, Grains(0, 2));
  EXPECT_EQ(settled.LastUnsettled(Grains(4, 1).first).pages, Grains(0, 2));
  EXPECT_TRUE(settled.LastUnsettled(PageId(0)).pages.empty());
}

TEST(SettledRangesTest, GrainsThatAreNotWhollySearchedStayUnsettled) {
  SettledRanges settled;
  PageRange all_but_two = PageRange::Between(PageId(1), PageId(kGrain * 3 - 1));
  settled.Settle(all_but_two, settled.NextUnsettled(PageId(0)).version);
  EXPECT_EQ(settled.NextUnsettled(PageId(0)).pages, Grains(0, 1));
  EXPECT_EQ(settled.NextUnsettled(PageId(kGrain)).pages.first,
            Grains(2, 1).first);
}

TEST(SettledRangesTest, OnePageUnsettlesItsGrain) {
  SettledRanges settled;
  settled.Settle(Grains(0, 10), settled.NextUnsettled(PageId(0)).version);
  settled.Unsettle({PageId(3 * kGrain + 7), PageCount(1)});
  EXPECT_EQ(settled.NextUnsettled(PageId(0)).pages, Grains(3, 1));
}

TEST(SettledRangesTest, AReportOlderThanAMissingPageIsDropped) {
  SettledRanges settled;
  SettledRanges::Stretch stretch = settled.NextUnsettled(PageId(0));
  settled.Unsettle({PageId(7), PageCount(1)});
  settled.Settle(stretch.pages, stretch.version);
  EXPECT_EQ(settled.NextUnsettled(PageId(0)).pages.first, PageId(0));
}

TEST(SettledRangesTest, AllPagesThereAreCanBeSettled) {
  SettledRanges settled;
  SettledRanges::Stretch stretch = settled.NextUnsettled(PageId(0));
  settled.Settle(stretch.pages, stretch.version);
  EXPECT_TRUE(settled.NextUnsettled(PageId(0)).pages.empty());
  EXPECT_TRUE(settled.NextUnsettled(PageId(~uint64_t{0} - 1)).pages.empty());
  settled.Unsettle({PageId(~uint64_t{0} - 1), PageCount(1)});
  EXPECT_EQ(settled.NextUnsettled(PageId(0)).pages.first,
            PageId(~uint64_t{0} - kGrain + 1));
}

}  // namespace
}  // namespace pagelift
