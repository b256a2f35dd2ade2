#include "lib/image/pagemap_writer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class PagemapWriterTest : public ::testing::TestWithParam<PagemapCounts> {
 protected:
  static Pagemap Read(const PagemapWriter& writer) {
    auto pagemap = DecodePagemap("written", writer.contents());
    EXPECT_OK(pagemap);
    return *pagemap;
  }
};

TEST_P(PagemapWriterTest, WhatIsWrittenIsRead) {
  PagemapWriter writer(7, GetParam());
  writer.Add(Pages(0x1000, 4), {false, true, true});
  writer.Add(Pages(0x2000, 1), {true, false, false});
  writer.Add(Pages(0x2001, 2), kLazyWithoutContents);
  const Pagemap pagemap = Read(writer);
  EXPECT_EQ(pagemap.pages_id, 7u);
  EXPECT_EQ(pagemap.counts, GetParam());
  ASSERT_EQ(pagemap.entries.size(), 3u);
  EXPECT_EQ(pagemap.entries[0].pages, Pages(0x1000, 4));
  EXPECT_EQ(BitsOf(pagemap.entries[0].flags), 6u);
  EXPECT_EQ(BitsOf(pagemap.entries[1].flags), 1u);
  EXPECT_EQ(BitsOf(pagemap.entries[2].flags), 2u);
}

TEST_P(PagemapWriterTest, ManyPagesMayBecomeSeveralEntries) {
  const PageRange all = Pages(1, (uint64_t{1} << 33) + 5);
  PagemapWriter writer(1, GetParam());
  writer.Add(all, kLazyWithoutContents);
  PageId next = all.first;
  for (const PagemapEntry& entry : Read(writer).entries) {
    EXPECT_EQ(entry.pages.first, next);
    next = entry.pages.limit();
  }
  EXPECT_EQ(next, all.limit());
}

INSTANTIATE_TEST_SUITE_P(BothCounts, PagemapWriterTest,
                         ::testing::Values(PagemapCounts::kOld,
                                           PagemapCounts::kNew));

}  // namespace
}  // namespace pagelift
