#include "tests/bench/prefetch_sim/trace_pages.h"

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/prefetch/testing/missing_pages_model.h"

namespace pagelift::bench {
namespace {

std::vector<PageId> PagesWithHoles() {
  std::vector<PageId> pages;
  for (uint64_t page = 100; page < 1100; ++page) {
    if (page % 37 != 0 && page / 150 % 3 != 1) pages.push_back(PageId(page));
  }
  return pages;
}

TEST(TracePagesTest, NumbersPagesInAddressOrder) {
  const std::vector<PageId> pages = {PageId(10), PageId(11), PageId(20)};
  TracePages missing(pages);
  EXPECT_EQ(missing.ImageOf(PageId(20)), ImagePage(2));
  const auto piece =
      missing.ClaimImage({ImagePage(1), PageCount(9)}, PageCount(9));
  ASSERT_TRUE(piece.has_value());
  EXPECT_EQ(piece->pages, (PageRange{PageId(11), PageCount(1)}));
  EXPECT_EQ(piece->image, ImagePage(1));
  EXPECT_EQ(missing.missing(), PageCount(2));
  EXPECT_FALSE(missing.Claim(ImagePage(1)));
  EXPECT_TRUE(missing.Claim(ImagePage(2)));
}

TEST(TracePagesTest, ClaimsAsTheModelDoes) {
  const std::vector<PageId> pages = PagesWithHoles();
  TracePages missing(pages);
  MissingPagesModel model;
  for (PageId page : pages) model.Add({page, PageCount(1)});
  std::mt19937 random(1);
  for (int i = 0; i < 400; ++i) {
    const PageRange within{PageId(random() % 1200), PageCount(random() % 700)};
    const PageCount most(1 + random() % 5);
    const bool first = random() % 2 == 0;
    const auto expected =
        first ? model.ClaimFirst(within, most) : model.ClaimLast(within, most);
    const auto actual = first ? missing.ClaimFirst(within, most)
                              : missing.ClaimLast(within, most);
    ASSERT_EQ(actual.has_value(), expected.has_value());
    if (!expected.has_value()) continue;
    ASSERT_EQ(actual->pages, expected->pages);
    ASSERT_EQ(actual->image, missing.ImageOf(actual->pages.first));
  }
  EXPECT_EQ(missing.missing(), PageCount(model.left().size()));
}

}  // namespace
}  // namespace pagelift::bench
