#include "lib/image/complete_pagemap.h"

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "criu/mm.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"
#include "lib/image/pagemap.h"
#include "lib/image/pagemap_writer.h"

namespace pagelift {
namespace {

constexpr PagemapFlags kEager = {/*in_parent=*/false, /*lazy=*/false,
                                 /*present=*/true};
// Where the lazy mappings are, two of which are neighbours.
constexpr uint64_t kFirst = 0x100;
constexpr uint64_t kMiddle = 0x140;
constexpr uint64_t kLast = 0x180;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

MemoryLayout Layout() {
  criu::MemoryMap map;
  for (auto [first, last] : {std::pair(kFirst, kMiddle), {kMiddle, kLast}}) {
    criu::Mapping* mapping = map.add_mappings();
    mapping->set_start(first * kPageSize);
    mapping->set_limit(last * kPageSize);
    mapping->set_flags(0x22);    // Private and anonymous.
    mapping->set_status(0x201);  // An ordinary one.
  }
  absl::StatusOr<MemoryLayout> layout =
      DecodeMemoryLayout("mm", ImageMagic(ImageKind::kMemory) +
                                   FramedRecord(map.SerializeAsString()));
  EXPECT_OK(layout);
  return layout.value_or(MemoryLayout());
}

std::string Complete(const std::vector<PageRange>& eager,
                     const std::vector<PageRange>& lazy) {
  PagemapWriter writer(1, PagemapCounts::kNew);
  for (PageRange pages : eager) writer.Add(pages, kEager);
  absl::StatusOr<std::string> completed =
      CompletePagemap("pagemap", writer.contents(), Layout(), lazy);
  EXPECT_OK(completed);
  return completed.value_or("");
}

// For each page: '.' none, 'e' eager, 'l' lazy.
std::string Picture(const std::string& contents) {
  absl::StatusOr<Pagemap> pagemap = DecodePagemap("pagemap", contents);
  EXPECT_OK(pagemap);
  std::string picture(kLast + 0x10, '.');
  if (!pagemap.ok()) return picture;
  EXPECT_EQ(pagemap->pages_id, 1u);
  for (const PagemapEntry& entry : pagemap->entries) {
    picture.replace(entry.pages.first.raw(), entry.pages.count.raw(),
                    entry.pages.count.raw(), entry.flags.lazy ? 'l' : 'e');
    EXPECT_NE(entry.flags.lazy, entry.flags.present);
  }
  return picture;
}

TEST(CompletePagemapTest, PagesAreAddedWhereTheyBelong) {
  const std::string picture =
      Picture(Complete({Pages(0x10, 2), Pages(0x120, 1), Pages(0x188, 4)},
                       {Pages(0x100, 4), Pages(0x11e, 5), Pages(0x13f, 2)}));
  EXPECT_EQ(picture.substr(0x0f, 4), ".ee.");
  EXPECT_EQ(picture.substr(0xff, 6), ".llll.");
  EXPECT_EQ(picture.substr(0x11d, 7), ".llell.");
  EXPECT_EQ(picture.substr(0x13e, 4), ".ll.");
  EXPECT_EQ(picture.substr(0x187, 6), ".eeee.");
}

TEST(CompletePagemapTest, WithoutPagesItStaysAsItIs) {
  PagemapWriter writer(1, PagemapCounts::kOld);
  writer.Add(Pages(0x10, 2), kEager);
  writer.Add(Pages(0x100, 2), kLazyWithoutContents);
  EXPECT_THAT(CompletePagemap("pagemap", writer.contents(), Layout(), {}),
              IsOkAndHolds(writer.contents()));
}

TEST(CompletePagemapTest, OnlyWhatIsLazyIsTakenForIt) {
  PagemapWriter writer(1, PagemapCounts::kNew);
  for (PageRange pages :
       {Pages(0x10, 1), Pages(kFirst - 1, 2), Pages(kLast - 1, 2)}) {
    EXPECT_THAT(CompletePagemap("pagemap", writer.contents(), Layout(),
                                std::vector<PageRange>{pages}),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST(CompletePagemapTest, WhatIsNoPagemapIsRefused) {
  EXPECT_FALSE(CompletePagemap("pagemap", "nonsense", Layout(), {}).ok());
}

std::vector<PageRange> RangesOf(const std::vector<bool>& pages) {
  std::vector<PageRange> ranges;
  for (uint64_t i = 0; i < pages.size(); ++i) {
    if (!pages[i]) continue;
    if (!ranges.empty() && ranges.back().limit() == PageId(i)) {
      ranges.back().count = ranges.back().count + PageCount(1);
    } else {
      ranges.push_back(Pages(i, 1));
    }
  }
  return ranges;
}

TEST(CompletePagemapTest, AgreesWithAMapOfPages) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<bool> eager(kLast);
    std::vector<bool> lazy(kLast);
    std::string expected(kLast + 0x10, '.');
    const unsigned rarity = 1 + random() % 8;
    for (uint64_t page = kFirst - 8; page < kLast; ++page) {
      eager[page] = random() % rarity == 0;
      lazy[page] = page >= kFirst && random() % 3 != 0;
      expected[page] = eager[page] ? 'e' : lazy[page] ? 'l' : '.';
    }
    ASSERT_EQ(Picture(Complete(RangesOf(eager), RangesOf(lazy))), expected);
  }
}

}  // namespace
}  // namespace pagelift
