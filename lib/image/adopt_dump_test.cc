#include "lib/image/adopt_dump.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "criu/stats.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/image_directory.h"
#include "lib/image/image_file.h"
#include "lib/image/received_dump.h"
#include "lib/image/testing/image_builder.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr PageRange kHeap{PageId(0x1000), PageCount(16)};

class AdoptDumpTest : public ::testing::Test {
 protected:
  AdoptDumpTest() { std::filesystem::create_directory(dir_.Join("store")); }

  // What criu dump leaves if pages go elsewhere.
  void WriteImages(const std::vector<int32_t>& pids = {7}) {
    ImageBuilder builder(dir_.Join("images"));
    for (int32_t pid : pids) {
      builder.AddTask(pid).AddMapping(kHeap, MappingKind::kAnonymous);
    }
    builder.Write();
    for (const std::string& name : Names("images")) {
      if (name.rfind("page", 0) == 0) {
        std::filesystem::remove(dir_.Join("images/" + name));
      }
    }
  }

  void WriteStats(uint64_t pages) {
    criu::Stats stats;
    stats.mutable_dump()->set_pages_written(pages);
    WriteFile(dir_.Join("images/stats-dump"),
              ImageMagic(ImageKind::kStats) +
                  FramedRecord(stats.SerializeAsString()));
  }

  // `pages` pages of each task.
  void Receive(const std::string& name, const std::vector<int32_t>& pids,
               uint64_t pages, PageId first = kHeap.first) {
    auto dump = ReceivedDump::Start(dir_.Join("store/" + name));
    ASSERT_OK(dump);
    for (int32_t pid : pids) {
      ASSERT_OK(dump->OpenTask(pid));
      ASSERT_OK(dump->Add({first, PageCount(pages)}, /*lazy=*/true));
      ASSERT_OK(dump->Append(
          std::vector<std::byte>(PageCount(pages).bytes(), std::byte{'x'})));
    }
    ASSERT_OK(dump->Publish());
  }

  absl::StatusOr<AdoptedDump> Adopt(const std::string& dump = "") {
    return AdoptDump(dir_.Join("images"), dir_.Join("store/redis"),
                     dump.empty() ? "" : dir_.Join("store/" + dump));
  }

  std::vector<std::string> Names(const std::string& name) {
    return *ImageDirectory::Open(dir_.Join(name))->List();
  }

  TempDir dir_;
};

TEST_F(AdoptDumpTest, MakesACheckpoint) {
  WriteImages({7, 8});
  WriteStats(6);
  Receive("dump-1", {7, 8}, 3);
  ASSERT_OK_AND_ASSIGN(const AdoptedDump adopted, Adopt());
  EXPECT_EQ(adopted.dump, dir_.Join("store/dump-1"));
  EXPECT_EQ(adopted.pages, PageCount(6));
  EXPECT_THAT(Names("store"), ElementsAre("redis"));
  ASSERT_OK_AND_ASSIGN(auto image,
                       CheckpointImage::Open(dir_.Join("store/redis")));
  EXPECT_EQ(image->description().content_id, adopted.content_id);
  EXPECT_EQ(image->description().page_count, PageCount(6));
  std::byte page[kPageSize];
  EXPECT_THAT(image->Read({ImagePage(5), PageCount(1)}, page),
              IsOkAndHolds(PageCount(1)));
  EXPECT_EQ(page[4095], std::byte{'x'});
}

TEST_F(AdoptDumpTest, FindsTheOneThatFits) {
  WriteImages();
  WriteStats(3);
  Receive("dump-1", {7}, 3, PageId(0x8000));
  Receive("dump-2", {7, 8}, 3);
  Receive("dump-3", {7}, 3);
  Receive("dump-4", {7}, 4);
  ASSERT_OK_AND_ASSIGN(const AdoptedDump adopted, Adopt());
  EXPECT_EQ(adopted.dump, dir_.Join("store/dump-3"));
  EXPECT_THAT(Names("store"),
              ElementsAre("dump-1", "dump-2", "dump-4", "redis"));
}

TEST_F(AdoptDumpTest, DoesNotGuess) {
  WriteImages();
  Receive("dump-1", {7}, 3);
  Receive("dump-2", {7}, 3);
  EXPECT_THAT(Adopt().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("dump-1"), HasSubstr("dump-2"),
                             HasSubstr("--dump"))));
  ASSERT_OK_AND_ASSIGN(const AdoptedDump adopted, Adopt("dump-2"));
  EXPECT_THAT(Names("store"), ElementsAre("dump-1", "redis"));
}

TEST_F(AdoptDumpTest, SaysWhyNoneFits) {
  WriteImages({7, 8});
  WriteStats(3);
  EXPECT_THAT(Adopt().status(), StatusIs(absl::StatusCode::kNotFound,
                                         HasSubstr("has received none")));
  Receive("dump-1", {7}, 3);
  Receive("dump-2", {7, 8}, 1, PageId(0x8000));
  Receive("dump-3", {7, 9}, 1);
  Receive("dump-4", {7, 8}, 1);
  EXPECT_THAT(
      Adopt().status(),
      StatusIs(
          absl::StatusCode::kNotFound,
          AllOf(HasSubstr("dump-1: it has pages of 1 of the 2 tasks"),
                HasSubstr("a page at 0x8000000"),
                HasSubstr("pagemap-9.img is of a task"),
                HasSubstr("it has 2 pages of tasks, and the dump sent 3"))));
  EXPECT_THAT(Adopt("dump-1").status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Names("store"),
              ElementsAre("dump-1", "dump-2", "dump-3", "dump-4"));
}

TEST_F(AdoptDumpTest, RefusesImagesThatHavePages) {
  ImageBuilder(dir_.Join("images"))
      .AddTask(7)
      .AddMapping(kHeap, MappingKind::kAnonymous)
      .AddPages(kHeap, kLazy | kPresent)
      .Write();
  Receive("dump-1", {7}, 3);
  EXPECT_THAT(Adopt().status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         HasSubstr("not made by criu dump")));
}

TEST_F(AdoptDumpTest, DoesNotReplaceAnything) {
  WriteImages();
  Receive("dump-1", {7}, 3);
  std::filesystem::create_directory(dir_.Join("store/redis"));
  EXPECT_THAT(Adopt().status(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Names("store"), ElementsAre("dump-1", "redis"));
}

}  // namespace
}  // namespace pagelift
