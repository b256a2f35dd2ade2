#include "lib/image/pagemap_chain.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class PagemapChainTest : public ::testing::Test {
 protected:
  absl::StatusOr<PagemapChain> Open() {
    auto directories = OpenImageChain(dir_.Join("dump"));
    if (!directories.ok()) return directories.status();
    return PagemapChain::Open(*directories, 7);
  }

  static bool Holds(const LocatedPages& run, int generation) {
    PageBytes expected =
        ImageBuilder::ContentsOf(7, run.pages.first, generation);
    std::vector<std::byte> bytes(kPageSize);
    EXPECT_OK(run.file->Read(run.offset, absl::MakeSpan(bytes)));
    return std::memcmp(bytes.data(), expected.data(), kPageSize) == 0;
  }

  TempDir dir_;
};

TEST_F(PagemapChainTest, LocatesPagesFromTheMiddleOfAnEntry) {
  ImageBuilder(dir_.Join("dump"))
      .AddTask(7)
      .AddPages(Pages(10, 2), kPresent)
      .AddPages(Pages(20, 8), kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(PagemapChain chain, Open());
  std::vector<LocatedPages> located;
  ASSERT_OK(chain.Locate(Pages(23, 2), &located));
  ASSERT_EQ(located.size(), 1u);
  EXPECT_EQ(located[0].pages, Pages(23, 2));
  EXPECT_TRUE(Holds(located[0], 0));
}

TEST_F(PagemapChainTest, FollowsTheParentsPieceByPiece) {
  ImageBuilder(dir_.Join("pre"))
      .AddTask(7)
      .AddPages(Pages(10, 2), kPresent)
      .AddPages(Pages(12, 1), kLazy)
      .AddPages(Pages(13, 4), kPresent)
      .Write();
  ImageBuilder(dir_.Join("dump"))
      .SetParent("../pre")
      .AddTask(7)
      .AddPages(Pages(8, 2), kPresent)
      .AddPages(Pages(10, 6), kInParent)
      .Write();
  ASSERT_OK_AND_ASSIGN(PagemapChain chain, Open());
  std::vector<LocatedPages> located;
  ASSERT_OK(chain.Locate(Pages(9, 6), &located));
  ASSERT_EQ(located.size(), 4u);
  EXPECT_TRUE(Holds(located[0], 1));
  EXPECT_EQ(located[1].pages, Pages(10, 2));
  EXPECT_TRUE(Holds(located[1], 0));
  EXPECT_EQ(located[2].file, nullptr);
  EXPECT_EQ(located[3].pages, Pages(13, 2));
  EXPECT_TRUE(Holds(located[3], 0));
}

TEST_F(PagemapChainTest, WhatIsLocatedOutlivesTheChain) {
  ImageBuilder(dir_.Join("dump"))
      .AddTask(7)
      .AddPages(Pages(10, 2), kPresent)
      .Write();
  std::vector<LocatedPages> located;
  {
    ASSERT_OK_AND_ASSIGN(PagemapChain chain, Open());
    ASSERT_OK(chain.Locate(Pages(10, 1), &located));
  }
  EXPECT_TRUE(Holds(located[0], 0));
}

TEST_F(PagemapChainTest, ATaskWithoutAPagemapIsAnError) {
  ImageBuilder(dir_.Join("dump")).AddTask(8).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("pagemap-7.img")));
}

}  // namespace
}  // namespace pagelift
