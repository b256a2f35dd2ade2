#include "lib/image/checkpoint_image.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/xxh3.h"
#include "lib/image/page_seal.h"
#include "lib/image/testing/image_builder.h"
#include "lib/source/found_pages.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr PageRange kHeap{PageId(0x1000), PageCount(32)};
constexpr PageRange kStack{PageId(0x7ff00), PageCount(16)};

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class CheckpointImageTest : public ::testing::Test {
 protected:
  // A task with a heap, a file mapping behind it, and a stack.
  ImageBuilder Builder(const std::string& name = "dump") {
    ImageBuilder builder(dir_.Join(name));
    builder.AddTask(7)
        .AddMapping(kHeap, MappingKind::kAnonymous)
        .AddMapping(Pages(0x1020, 8), MappingKind::kFile)
        .AddMapping(kStack, MappingKind::kStack);
    return builder;
  }

  absl::StatusOr<std::shared_ptr<const CheckpointImage>> Open(
      const std::string& name = "dump",
      OpenMode mode = OpenMode::kRequireContents) {
    return CheckpointImage::Open(dir_.Join(name), mode);
  }

  // How many pages came.
  static absl::StatusOr<PageCount> Read(const CheckpointImage& image,
                                        ImageRange range, uint64_t room = 16) {
    std::vector<std::byte> buffer(room * kPageSize);
    return image.Read(range, absl::MakeSpan(buffer));
  }

  // Checks each page of a task against what the builder wrote.
  static void ExpectContents(const CheckpointImage& image, int32_t pid,
                             PageRange pages, int generation = 0) {
    const TaskDescription* task = image.description().FindTask(pid);
    ASSERT_NE(task, nullptr);
    for (PageId page = pages.first; page < pages.limit();
         page = page + PageCount(1)) {
      PageBytes expected = ImageBuilder::ContentsOf(pid, page, generation);
      auto extent = std::find_if(
          task->extents.begin(), task->extents.end(),
          [page](const ImageExtent& e) { return e.pages.Contains(page); });
      ASSERT_NE(extent, task->extents.end()) << page;
      ImagePage at = extent->image + (page - extent->pages.first);
      std::vector<std::byte> bytes(kPageSize);
      ASSERT_THAT(image.Read({at, PageCount(1)}, absl::MakeSpan(bytes)),
                  IsOkAndHolds(PageCount(1)));
      EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), kPageSize), 0)
          << page;
    }
  }

  TempDir dir_;
};

TEST_F(CheckpointImageTest, DescribesAndReadsLazyPages) {
  Builder()
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .AddPages(Pages(0x1008, 2), kLazy | kPresent)
      .AddPages(Pages(0x1020, 3), kPresent)
      .AddPages(Pages(0x7ff0e, 1), kLazy | kPresent)
      .AddPages(Pages(0x7ff0f, 1), kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  const ImageDescription& description = image->description();
  EXPECT_EQ(description.page_count, PageCount(7));
  ASSERT_EQ(description.tasks.size(), 1u);
  const TaskDescription& task = description.tasks[0];
  EXPECT_THAT(task.lazy_regions, ElementsAre(kHeap, kStack));
  ASSERT_EQ(task.extents.size(), 3u);
  EXPECT_EQ(task.extents[1].pages, Pages(0x1008, 2));
  EXPECT_EQ(task.extents[1].image, ImagePage(4));
  EXPECT_EQ(task.extents[2].image, ImagePage(6));
  ExpectContents(*image, 7, Pages(0x1000, 4));
  ExpectContents(*image, 7, Pages(0x1008, 2));
  ExpectContents(*image, 7, Pages(0x7ff0e, 1));
  EXPECT_FALSE(image->has_lazy_parent_pages());
}

TEST_F(CheckpointImageTest, TellsWhichPagesTheKernelMustFind) {
  // A robust list with one entry, in another page, whose futex is in a third.
  std::vector<std::byte> bytes(6 * kPageSize);
  const auto put = [&bytes](uint64_t address, uint64_t word) {
    std::memcpy(&bytes[address - 0x1000 * kPageSize], &word, sizeof(word));
  };
  const uint64_t head = 0x1001 * kPageSize + 64;
  const uint64_t entry = 0x1003 * kPageSize;
  put(head, entry);
  put(head + 8, static_cast<uint64_t>(-32));
  put(entry, head);
  const uint64_t eager = 0x1020 * kPageSize;
  Builder()
      .SetKernelWords(0x1005 * kPageSize + 8, head)
      .AddThread(8, eager)
      .AddPages(Pages(0x1000, 6), kLazy | kPresent, bytes.data())
      .AddPages(Pages(0x1020, 1), kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  EXPECT_THAT(image->description().tasks[0].must_have_pages,
              ElementsAre(PageId(0x1001), PageId(0x1002), PageId(0x1003),
                          PageId(0x1005)));
}

TEST_F(CheckpointImageTest, ReadsTheCountsOfCriu41) {
  Builder().UseOldCounts().AddPages(kHeap, kLazy | kPresent).Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  ExpectContents(*image, 7, kHeap);
}

TEST_F(CheckpointImageTest, RunsAreAsLongAsTheFileAllows) {
  Builder()
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .AddPages(Pages(0x1004, 4), kLazy | kPresent)
      .AddPages(Pages(0x1020, 1), kPresent)
      .AddPages(Pages(0x7ff00, 4), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  EXPECT_EQ(image->description().tasks[0].extents.size(), 2u);
  // Up to the eager page in the file.
  EXPECT_THAT(Read(*image, Image(2, 10)), IsOkAndHolds(PageCount(6)));
  EXPECT_THAT(Read(*image, Image(8, 4)), IsOkAndHolds(PageCount(4)));
  // And no more than there is room for.
  EXPECT_THAT(Read(*image, Image(2, 10), 3), IsOkAndHolds(PageCount(3)));
}

TEST_F(CheckpointImageTest, PagesOutsideTheImageAreOutOfRange) {
  Builder().AddPages(kHeap, kLazy | kPresent).Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  for (ImageRange bad :
       {Image(0, 0), Image(31, 2), Image(32, 1), Image(1, ~uint64_t{0})}) {
    EXPECT_THAT(Read(*image, bad), StatusIs(absl::StatusCode::kOutOfRange));
  }
}

TEST_F(CheckpointImageTest, NumbersTasksInTheOrderOfTheTree) {
  Builder()
      .AddPages(kStack, kLazy | kPresent)
      .AddZombie(8, 7)
      .AddTask(5, 7)
      .AddMapping(kHeap, MappingKind::kAnonymous)
      .AddPages(Pages(0x1000, 1), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  const auto& tasks = image->description().tasks;
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_TRUE(tasks[1].zombie);
  EXPECT_EQ(tasks[1].pid, 8);
  EXPECT_EQ(tasks[2].extents[0].image, ImagePage(16));
  ExpectContents(*image, 7, kStack);
  ExpectContents(*image, 5, Pages(0x1000, 1));
}

TEST_F(CheckpointImageTest, AnEntryAcrossTwoMappingsBecomesTwoExtents) {
  ImageBuilder(dir_.Join("dump"))
      .AddTask(7)
      .AddMapping(Pages(16, 4), MappingKind::kAnonymous)
      .AddMapping(Pages(20, 4), MappingKind::kAnonymous)
      .AddPages(Pages(18, 4), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  const auto& extents = image->description().tasks[0].extents;
  ASSERT_EQ(extents.size(), 2u);
  EXPECT_EQ(extents[1].pages, Pages(20, 2));
  EXPECT_EQ(extents[1].image, ImagePage(2));
  ExpectContents(*image, 7, Pages(18, 4));
}

TEST_F(CheckpointImageTest, GuardedPagesAreNotServed) {
  Builder()
      .AddMapping(Pages(0x1002, 2), MappingKind::kGuard)
      .AddPages(Pages(0x1000, 8), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  const TaskDescription& task = image->description().tasks[0];
  EXPECT_THAT(task.lazy_regions,
              ElementsAre(Pages(0x1000, 2), Pages(0x1004, 28), kStack));
  EXPECT_EQ(image->description().page_count, PageCount(6));
  ExpectContents(*image, 7, Pages(0x1000, 2));
  ExpectContents(*image, 7, Pages(0x1004, 4));
}

TEST_F(CheckpointImageTest, ALazyPageOutsideLazyMappingsIsNamed) {
  Builder().AddPages(Pages(0x101f, 2), kLazy | kPresent).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               AllOf(HasSubstr("0x1020000"),
                                     HasSubstr("marked lazy"))));
}

TEST_F(CheckpointImageTest, ParentPagesOfLazyRegionsAreServed) {
  Builder("pre")
      .AddPages(Pages(0x1000, 8), kPresent)
      .AddPages(Pages(0x1020, 8), kPresent)
      .Write();
  Builder()
      .SetParent("../pre")
      .AddPages(Pages(0x1000, 2), kInParent)
      .AddPages(Pages(0x1002, 2), kLazy | kPresent)
      .AddPages(Pages(0x1004, 4), kInParent)
      .AddPages(Pages(0x1020, 8), kInParent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  EXPECT_EQ(image->description().page_count, PageCount(8));
  EXPECT_TRUE(image->has_lazy_parent_pages());
  ExpectContents(*image, 7, Pages(0x1000, 2), 0);
  ExpectContents(*image, 7, Pages(0x1002, 2), 1);
  ExpectContents(*image, 7, Pages(0x1004, 4), 0);
}

TEST_F(CheckpointImageTest, ParentRunsMayLieInSeveralGenerations) {
  Builder("1").AddPages(Pages(0x1000, 8), kPresent).Write();
  Builder("2")
      .SetParent("../1", 1)
      .AddPages(Pages(0x1000, 3), kInParent)
      .AddPages(Pages(0x1003, 2), kPresent)
      .AddPages(Pages(0x1005, 3), kInParent)
      .Write();
  Builder().SetParent("../2", 2).AddPages(Pages(0x1000, 8), kInParent).Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  ExpectContents(*image, 7, Pages(0x1000, 3), 0);
  ExpectContents(*image, 7, Pages(0x1003, 2), 1);
  ExpectContents(*image, 7, Pages(0x1005, 3), 0);
}

TEST_F(CheckpointImageTest, PagesAtStackPointersAreLeftToRestore) {
  Builder("pre").AddPages(kStack, kPresent).Write();
  Builder()
      .SetParent("../pre")
      .SetStackPointer(0x7ff02123)
      .AddThread(9, 0x7ff05000)
      .AddThread(10, 0x7ff05ff8)
      .AddThread(11, 0x7ff0f008)
      .AddPages(kStack, kInParent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  const auto& extents = image->description().tasks[0].extents;
  ASSERT_EQ(extents.size(), 3u);
  EXPECT_EQ(extents[0].pages, Pages(0x7ff00, 2));
  EXPECT_EQ(extents[1].pages, Pages(0x7ff03, 2));
  EXPECT_EQ(extents[2].pages, Pages(0x7ff06, 9));
}

TEST_F(CheckpointImageTest, AMissingParentIsAnError) {
  Builder().AddPages(kHeap, kInParent).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("in a parent image, which is not "
                                         "there")));
}

TEST_F(CheckpointImageTest, ATaskYoungerThanTheParentNeedsNothingOfIt) {
  Builder("pre").AddPages(Pages(0x1000, 8), kPresent).Write();
  Builder()
      .SetParent("../pre")
      .AddPages(Pages(0x1000, 8), kInParent)
      .AddTask(8, 7)
      .AddMapping(kHeap, MappingKind::kAnonymous)
      .AddPages(Pages(0x1000, 1), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  ExpectContents(*image, 8, Pages(0x1000, 1), 1);
}

TEST_F(CheckpointImageTest, AParentWithoutThePageIsAnError) {
  Builder("pre").AddPages(Pages(0x1000, 4), kPresent).Write();
  Builder().SetParent("../pre").AddPages(Pages(0x1000, 5), kInParent).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("the page at 0x1004000")));
}

TEST_F(CheckpointImageTest, PagesWithAPageServerAreRefusedByDefault) {
  Builder().AddPages(kHeap, kLazy).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("criu dump --lazy-pages")));
}

TEST_F(CheckpointImageTest, TheLayoutOfPagesWithAPageServerCanBeRead) {
  Builder()
      .AddPages(Pages(0x1000, 4), kLazy)
      .AddPages(Pages(0x1004, 4), kLazy | kPresent)
      .AddPages(Pages(0x1008, 4), kLazy)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open("dump", OpenMode::kLayoutOnly));
  EXPECT_EQ(image->description().page_count, PageCount(12));
  EXPECT_THAT(Read(*image, Image(0, 8)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("[0..4 4p]")));
  EXPECT_THAT(Read(*image, Image(4, 8)), IsOkAndHolds(PageCount(4)));
  ExpectContents(*image, 7, Pages(0x1004, 4));
}

TEST_F(CheckpointImageTest, CopiesWithAndWithoutPagesAreNumberedAlike) {
  Builder("full")
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .AddPages(Pages(0x1020, 1), kPresent)
      .AddPages(Pages(0x7ff00, 4), kLazy | kPresent)
      .Write();
  Builder("thin")
      .AddPages(Pages(0x1000, 4), kLazy)
      .AddPages(Pages(0x1020, 1), kPresent)
      .AddPages(Pages(0x7ff00, 4), kLazy)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto full, Open("full"));
  ASSERT_OK_AND_ASSIGN(auto thin, Open("thin", OpenMode::kLayoutOnly));
  EXPECT_EQ(full->description().content_id, thin->description().content_id);
  EXPECT_EQ(full->description().page_count, thin->description().page_count);
  EXPECT_EQ(full->description().tasks[0].extents[1].image,
            thin->description().tasks[0].extents[1].image);
}

TEST_F(CheckpointImageTest, ACopyThatLacksPagesIsAnotherImage) {
  Builder("full").AddPages(Pages(0x1000, 4), kLazy | kPresent).Write();
  Builder("less").AddPages(Pages(0x1000, 3), kLazy | kPresent).Write();
  ASSERT_OK_AND_ASSIGN(auto full, Open("full"));
  ASSERT_OK_AND_ASSIGN(auto less, Open("less"));
  EXPECT_NE(full->description().content_id, less->description().content_id);
}

TEST_F(CheckpointImageTest, TwoDumpsHaveDifferentIds) {
  Builder("1").SetRunId("a").Write();
  Builder("2").SetRunId("b").Write();
  ASSERT_OK_AND_ASSIGN(auto first, Open("1"));
  ASSERT_OK_AND_ASSIGN(auto second, Open("2"));
  EXPECT_NE(first->description().content_id, second->description().content_id);
}

TEST_F(CheckpointImageTest, APageThatHasChangedSinceItWasSealedIsLost) {
  Builder().AddPages(Pages(0x1000, 8), kLazy | kPresent).Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  EXPECT_FALSE(image->is_sealed());
  std::vector<uint64_t> digests;
  for (uint64_t i = 0; i < 8; ++i) {
    digests.push_back(
        Xxh3::Of(ImageBuilder::ContentsOf(7, PageId(0x1000 + i))));
  }
  const std::string content_id = image->description().content_id;
  ASSERT_OK(PageSeal::Write(dir_.Join("dump"), content_id, digests));
  ASSERT_OK_AND_ASSIGN(image, Open());
  EXPECT_TRUE(image->is_sealed());
  EXPECT_EQ(image->description().content_id, content_id);
  ExpectContents(*image, 7, Pages(0x1000, 8));
  {
    std::fstream pages(dir_.Join("dump/pages-1.img"),
                       std::ios::in | std::ios::out | std::ios::binary);
    pages.seekp(5 * kPageSize + 1000);
    pages.put('\x5a');
  }
  std::vector<std::byte> buffer(8 * kPageSize);
  const auto find = [&](ImageRange range) {
    return FindFirstPages(*image, range, absl::MakeSpan(buffer));
  };
  EXPECT_EQ(find(Image(0, 8)).count, PageCount(5));
  EXPECT_OK(find(Image(0, 8)).lost);
  EXPECT_EQ(find(Image(5, 3)).count, PageCount(1));
  EXPECT_THAT(find(Image(5, 3)).lost,
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("when the image was sealed")));
  EXPECT_EQ(find(Image(6, 2)).count, PageCount(2));
  // Zeros, too, are only what was sealed.
  {
    std::fstream pages(dir_.Join("dump/pages-1.img"),
                       std::ios::in | std::ios::out | std::ios::binary);
    pages.seekp(6 * kPageSize);
    pages.write(std::string(2 * kPageSize, '\0').data(), 2 * kPageSize);
  }
  EXPECT_EQ(find(Image(6, 2)).count, PageCount(1));
  EXPECT_TRUE(absl::IsDataLoss(find(Image(6, 2)).lost));
  // Another dump into the same directory has to be sealed anew.
  Builder().SetRunId("2").AddPages(Pages(0x1000, 8), kLazy | kPresent).Write();
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr("dump/pagelift-seal"),
                                     HasSubstr("another checkpoint"))));
}

TEST_F(CheckpointImageTest, ADirectoryThatIsNoImageIsExplained) {
  std::filesystem::create_directory(dir_.Join("dump"));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("not a CRIU image directory")));
}

TEST_F(CheckpointImageTest, AnyTruncatedFileIsRefusedByName) {
  for (const char* name : {"inventory.img", "pstree.img", "mm-7.img",
                           "pagemap-7.img", "pages-1.img"}) {
    std::filesystem::remove_all(dir_.Join("dump"));
    Builder().AddPages(kHeap, kLazy | kPresent).Write();
    std::string path = dir_.Join("dump") + "/" + name;
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
    std::filesystem::remove(path);
    EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  }
}

TEST_F(CheckpointImageTest, ATaskWithoutLazyPagesIsAllRight) {
  Builder().AddPages(Pages(0x1020, 3), kPresent).Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  EXPECT_EQ(image->description().page_count, PageCount(0));
  EXPECT_THAT(image->description().tasks[0].extents, IsEmpty());
}

TEST_F(CheckpointImageTest, AsksTheFileThatHasThePages) {
  Builder()
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .AddTask(8, 7)
      .AddMapping(kHeap, MappingKind::kAnonymous)
      .AddPages(Pages(0x1000, 4), kLazy | kPresent)
      .Write();
  ASSERT_OK_AND_ASSIGN(auto image, Open());
  std::filesystem::resize_file(dir_.Join("dump/pages-2.img"), 3 * kPageSize);
  PagesCheck check = image->Check(Image(0, 8));
  EXPECT_OK(check.status);
  EXPECT_EQ(check.count, PageCount(4));
  check = image->Check(Image(4, 4));
  EXPECT_OK(check.status);
  EXPECT_EQ(check.count, PageCount(3));
  check = image->Check(Image(7, 1));
  EXPECT_THAT(check.status,
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("pages-2.img was truncated to 12288 bytes")));
  EXPECT_EQ(check.count, PageCount(1));
}

}  // namespace
}  // namespace pagelift
