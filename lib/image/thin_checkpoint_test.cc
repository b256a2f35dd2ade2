#include "lib/image/thin_checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap.h"
#include "lib/image/pagemap_writer.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr PageRange kHeap{PageId(0x1000), PageCount(16)};
constexpr PageRange kFile{PageId(0x1010), PageCount(8)};
constexpr PagemapFlags kEager = {false, false, true};

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

class ThinCheckpointTest : public ::testing::Test {
 protected:
  ImageBuilder Builder(const std::string& name) {
    ImageBuilder builder(dir_.Join(name));
    builder.AddTask(7)
        .AddMapping(kHeap, MappingKind::kAnonymous)
        .AddMapping(kFile, MappingKind::kFile);
    return builder;
  }

  absl::StatusOr<ThinCheckpoint> Thin() {
    return WriteThinCheckpoint(dir_.Join("dump"), dir_.Join("out"));
  }

  std::string ContentId(const std::string& name) {
    auto image = CheckpointImage::Open(dir_.Join(name), OpenMode::kLayoutOnly);
    EXPECT_OK(image);
    return (*image)->description().content_id;
  }

  std::string Read(const std::string& name) {
    auto contents = ImageDirectory::Open(dir_.Join("out"))->ReadFile(name);
    EXPECT_OK(contents);
    return *contents;
  }

  std::vector<std::string> Names(const std::string& directory) {
    return *ImageDirectory::Open(directory)->List();
  }

  // A pagemap of what was made: first page, count, flags.
  std::vector<std::tuple<uint64_t, uint64_t, uint32_t>> Entries(
      const std::string& name = "pagemap-7.img") {
    auto pagemap = DecodePagemap(name, Read(name));
    EXPECT_OK(pagemap);
    std::vector<std::tuple<uint64_t, uint64_t, uint32_t>> entries;
    for (const PagemapEntry& entry : pagemap->entries) {
      entries.push_back({entry.pages.first.raw(), entry.pages.count.raw(),
                         BitsOf(entry.flags)});
    }
    return entries;
  }

  static std::string Contents(PageId page, int generation = 0) {
    const PageBytes bytes = ImageBuilder::ContentsOf(7, page, generation);
    return std::string(reinterpret_cast<const char*>(bytes.data()),
                       bytes.size());
  }

  TempDir dir_;
};

TEST_F(ThinCheckpointTest, LeavesOutWhatThePagerServes) {
  Builder("dump")
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .AddPages(Pages(0x1004, 1), kPresent)
      .AddPages(Pages(0x1008, 2), kLazy | kPresent)
      .AddPages(Pages(0x1010, 1), kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(const ThinCheckpoint made, Thin());
  EXPECT_EQ(made.left_out, PageCount(6));
  EXPECT_EQ(made.with_a_server, PageCount(6));
  EXPECT_THAT(Entries(), ElementsAre(std::tuple(0x1000, 4, kLazy),
                                     std::tuple(0x1004, 1, kPresent),
                                     std::tuple(0x1008, 2, kLazy),
                                     std::tuple(0x1010, 1, kPresent)));
  EXPECT_EQ(Read("pages-1.img"),
            Contents(PageId(0x1004)) + Contents(PageId(0x1010)));
  EXPECT_EQ(ContentId("out"), ContentId("dump"));
  EXPECT_EQ(made.content_id, ContentId("dump"));
  uint64_t bytes = 0;
  for (const std::string& name : Names(dir_.Join("out"))) {
    bytes += Read(name).size();
  }
  EXPECT_EQ(made.bytes, bytes);
}

TEST_F(ThinCheckpointTest, StandsAloneWithoutParents) {
  Builder("pre").AddPages(Pages(0x1000, 24), kPresent).Write();
  ImageBuilder builder = Builder("dump");
  builder.SetParent("../pre")
      .SetStackPointer(0x1003008)
      .AddPages(Pages(0x1000, 6), kInParent)
      .AddPages(Pages(0x1006, 2), kLazy | kPresent)
      .AddPages(Pages(0x1010, 1), kPresent)
      .AddPages(Pages(0x1011, 2), kInParent)
      .Write();
  ASSERT_OK_AND_ASSIGN(const ThinCheckpoint made, Thin());
  EXPECT_EQ(made.left_out, PageCount(7));
  EXPECT_THAT(
      Entries(),
      ElementsAre(std::tuple(0x1000, 3, kLazy), std::tuple(0x1003, 1, kPresent),
                  std::tuple(0x1004, 2, kLazy), std::tuple(0x1006, 2, kLazy),
                  std::tuple(0x1010, 1, kPresent),
                  std::tuple(0x1011, 2, kPresent)));
  EXPECT_EQ(Read("pages-1.img"),
            Contents(PageId(0x1003)) + Contents(PageId(0x1010), 1) +
                Contents(PageId(0x1011)) + Contents(PageId(0x1012)));
  EXPECT_EQ(ContentId("out"), ContentId("dump"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("out/parent")));
}

TEST_F(ThinCheckpointTest, SharedMemoryIsThere) {
  Builder("pre").AddPages(kHeap, kPresent).Write();
  Builder("dump").SetParent("../pre").AddPages(kHeap, kInParent).Write();
  PagemapWriter before(9, PagemapCounts::kNew);
  before.Add(Pages(0, 2), kEager);
  WriteFile(dir_.Join("pre/pagemap-shmem-33.img"), before.contents());
  WriteFile(dir_.Join("pre/pages-9.img"),
            std::string(4096, 'a') + std::string(4096, 'b'));
  PagemapWriter writer(8, PagemapCounts::kNew);
  writer.Add(Pages(0, 1), kEager);
  writer.Add(Pages(1, 1), {true, false, false});
  WriteFile(dir_.Join("dump/pagemap-shmem-33.img"), writer.contents());
  WriteFile(dir_.Join("dump/pages-8.img"), std::string(4096, 'A'));
  ASSERT_OK(Thin());
  EXPECT_THAT(
      Entries("pagemap-shmem-33.img"),
      ElementsAre(std::tuple(0, 1, kPresent), std::tuple(1, 1, kPresent)));
  EXPECT_EQ(Read("pages-8.img"),
            std::string(4096, 'A') + std::string(4096, 'b'));
}

TEST_F(ThinCheckpointTest, CopiesWhatCriuReadsAndNothingElse) {
  Builder("dump").AddPages(kHeap, kLazy | kPresent).Write();
  WriteFile(dir_.Join("dump/descriptors.json"), "[]");
  WriteFile(dir_.Join("dump/dump.log"), "log");
  WriteFile(dir_.Join("dump/stats-dump"), "stats");
  WriteFile(dir_.Join("dump/lazy-pages.socket"), "");
  WriteFile(dir_.Join("dump/pagelift-working-set"), "set");
  WriteFile(dir_.Join("elsewhere"), "ghost");
  std::filesystem::create_symlink("../elsewhere", dir_.Join("dump/ghost.img"));
  std::filesystem::create_directory(dir_.Join("dump/folder"));
  ASSERT_OK(Thin());
  EXPECT_THAT(Names(dir_.Join("out")),
              ElementsAre("core-7.img", "descriptors.json", "ghost.img",
                          "inventory.img", "mm-7.img", "pagemap-7.img",
                          "pages-1.img", "pstree.img"));
  EXPECT_FALSE(std::filesystem::is_symlink(dir_.Join("out/ghost.img")));
  EXPECT_EQ(Read("ghost.img"), "ghost");
  EXPECT_EQ(Read("pages-1.img"), "");
}

TEST_F(ThinCheckpointTest, OneThatIsThinAlreadyStaysAsItIs) {
  Builder("dump")
      .AddPages(Pages(0x1000, 4), kLazy)
      .AddPages(Pages(0x1004, 1), kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(const ThinCheckpoint made, Thin());
  EXPECT_EQ(made.left_out, PageCount(0));
  EXPECT_EQ(made.with_a_server, PageCount(4));
  EXPECT_EQ(ContentId("out"), ContentId("dump"));
}

TEST_F(ThinCheckpointTest, RefusesToLoseWhatCriuReads) {
  Builder("pre").AddPages(kHeap, kLazy).Write();
  Builder("dump")
      .SetParent("../pre")
      .SetStackPointer(0x1003008)
      .AddPages(kHeap, kInParent)
      .Write();
  EXPECT_THAT(Thin().status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("have no contents here")));
  EXPECT_THAT(Names(dir_.path()), ElementsAre("dump", "pre"));
}

TEST_F(ThinCheckpointTest, RefusesPlacesWhereItCannotBe) {
  Builder("dump").AddPages(kHeap, kLazy | kPresent).Write();
  std::filesystem::create_directory(dir_.Join("out"));
  EXPECT_THAT(Thin().status(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(
      WriteThinCheckpoint(dir_.Join("dump"), dir_.Join("dump/thin/")).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("inside")));
  EXPECT_THAT(WriteThinCheckpoint(dir_.Join("out"), dir_.Join("x")).status(),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("not a CRIU image directory")));
}

TEST_F(ThinCheckpointTest, DamageLeavesNothingBehind) {
  Builder("dump").AddPages(kHeap, kPresent).Write();
  std::filesystem::resize_file(dir_.Join("dump/pages-1.img"), 4096);
  EXPECT_THAT(Thin().status(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Names(dir_.path()), ElementsAre("dump"));
}

}  // namespace
}  // namespace pagelift
