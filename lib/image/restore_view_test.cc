#include "lib/image/restore_view.h"

#include <filesystem>
#include <memory>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr PageRange kHeap{PageId(0x1000), PageCount(16)};
constexpr PageRange kFile{PageId(0x1010), PageCount(8)};

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class RestoreViewTest : public ::testing::Test {
 protected:
  ImageBuilder Builder(const std::string& name) {
    ImageBuilder builder(dir_.Join(name));
    builder.AddTask(7)
        .AddMapping(kHeap, MappingKind::kAnonymous)
        .AddMapping(kFile, MappingKind::kFile);
    return builder;
  }

  // An incremental dump in "dump" of a full one in "pre".
  ImageBuilder Incremental() {
    Builder("pre").AddPages(Pages(0x1000, 24), kPresent).Write();
    ImageBuilder builder = Builder("dump");
    builder.SetParent("../pre");
    return builder;
  }

  absl::Status WriteView() {
    return WriteRestoreView(dir_.Join("dump"), dir_.Join("view"));
  }

  // The pagemap of task 7 in the view: first page, count, flags.
  std::vector<std::tuple<uint64_t, uint64_t, uint32_t>> ViewEntries() {
    auto directory = ImageDirectory::Open(dir_.Join("view"));
    EXPECT_OK(directory);
    auto contents = directory->ReadFile("pagemap-7.img");
    EXPECT_OK(contents);
    auto pagemap = DecodePagemap("view", *contents);
    EXPECT_OK(pagemap);
    std::vector<std::tuple<uint64_t, uint64_t, uint32_t>> entries;
    for (const PagemapEntry& entry : pagemap->entries) {
      entries.push_back({entry.pages.first.raw(), entry.pages.count.raw(),
                         BitsOf(entry.flags)});
    }
    return entries;
  }

  std::string ReadView(const std::string& name) {
    return *ImageDirectory::Open(dir_.Join("view"))->ReadFile(name);
  }

  TempDir dir_;
};

TEST_F(RestoreViewTest, OnlyImagesWithLazyParentPagesNeedOne) {
  Incremental().AddPages(Pages(0x1010, 8), kInParent).Write();
  ASSERT_OK_AND_ASSIGN(auto eager, CheckpointImage::Open(dir_.Join("dump")));
  EXPECT_FALSE(NeedsRestoreView(*eager));
  std::filesystem::remove_all(dir_.Join("dump"));
  Incremental().AddPages(Pages(0x1000, 4), kInParent).Write();
  ASSERT_OK_AND_ASSIGN(auto lazy, CheckpointImage::Open(dir_.Join("dump")));
  EXPECT_TRUE(NeedsRestoreView(*lazy));
}

TEST_F(RestoreViewTest, ParentPagesOfLazyRegionsBecomeLazy) {
  Incremental()
      .AddPages(Pages(0x1000, 4), kInParent)
      .AddPages(Pages(0x1004, 2), kLazy | kPresent)
      .AddPages(Pages(0x1008, 4), kInParent)
      .AddPages(Pages(0x1010, 4), kInParent)
      .AddPages(Pages(0x1014, 4), kPresent)
      .Write();
  ASSERT_OK(WriteView());
  EXPECT_THAT(ViewEntries(),
              ElementsAre(std::tuple(0x1000, 4, kLazy),
                          std::tuple(0x1004, 2, kLazy | kPresent),
                          std::tuple(0x1008, 4, kLazy),
                          std::tuple(0x1010, 4, kInParent),
                          std::tuple(0x1014, 4, kPresent)));
}

TEST_F(RestoreViewTest, AnEntryIsSplitAtRegionsAndStackPointers) {
  Incremental()
      .SetStackPointer(0x1003008)
      .AddPages(Pages(0x1000, 24), kInParent)
      .Write();
  ASSERT_OK(WriteView());
  EXPECT_THAT(ViewEntries(), ElementsAre(std::tuple(0x1000, 3, kLazy),
                                         std::tuple(0x1003, 1, kInParent),
                                         std::tuple(0x1004, 12, kLazy),
                                         std::tuple(0x1010, 8, kInParent)));
}

TEST_F(RestoreViewTest, KeepsTheEncodingOfCriu41) {
  Incremental().UseOldCounts().AddPages(Pages(0x1000, 24), kInParent).Write();
  ASSERT_OK(WriteView());
  // No field 5, which such a CRIU does not know.
  std::string head = "\x19\x43\x56\x54\x25\x40\x08\x56";
  std::string contents = ReadView("pagemap-7.img");
  EXPECT_EQ(contents.substr(0, 8), head);
  EXPECT_EQ(contents.find('\x28'), std::string::npos);  // Field 5, a varint.
  EXPECT_THAT(ViewEntries(), ElementsAre(std::tuple(0x1000, 16, kLazy),
                                         std::tuple(0x1010, 8, kInParent)));
}

TEST_F(RestoreViewTest, LinksEverythingElseToTheImages) {
  Incremental().AddPages(Pages(0x1000, 4), kInParent).Write();
  WriteFile(dir_.Join("dump/descriptors.json"), "[]");
  WriteFile(dir_.Join("dump/dump.log"), "log");
  WriteFile(dir_.Join("dump/stats-dump"), "stats");
  WriteFile(dir_.Join("dump/lazy-pages.socket"), "");
  ASSERT_OK(WriteView());
  ASSERT_OK_AND_ASSIGN(auto view, ImageDirectory::Open(dir_.Join("view")));
  EXPECT_THAT(view.List(),
              IsOkAndHolds(ElementsAre(
                  "core-7.img", "descriptors.json", "inventory.img", "mm-7.img",
                  "pagemap-7.img", "pages-1.img", "parent", "pstree.img")));
  EXPECT_TRUE(std::filesystem::is_symlink(dir_.Join("view/pages-1.img")));
  EXPECT_FALSE(std::filesystem::is_symlink(dir_.Join("view/pagemap-7.img")));
  EXPECT_TRUE(
      std::filesystem::equivalent(dir_.Join("view/parent"), dir_.Join("pre")));
}

TEST_F(RestoreViewTest, UnchangedPagemapsAreLinksToo) {
  Builder("dump").AddPages(kHeap, kLazy | kPresent).Write();
  ASSERT_OK(WriteView());
  EXPECT_TRUE(std::filesystem::is_symlink(dir_.Join("view/pagemap-7.img")));
}

TEST_F(RestoreViewTest, RefusesADirectoryThatIsNotEmpty) {
  Builder("dump").Write();
  std::filesystem::create_directory(dir_.Join("view"));
  ASSERT_OK(WriteView());
  EXPECT_THAT(WriteView(), StatusIs(absl::StatusCode::kAlreadyExists,
                                    HasSubstr("not empty")));
}

}  // namespace
}  // namespace pagelift
