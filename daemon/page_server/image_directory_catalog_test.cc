#include "daemon/page_server/image_directory_catalog.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/testing/image_builder.h"
#include "lib/workingset/recording.h"

namespace pagelift {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ImageDirectoryCatalogTest : public ::testing::Test {
 protected:
  // A checkpoint of `pages` pages in `directory`, in the place of another.
  static void WriteImage(const std::string& directory, uint64_t pages = 4) {
    fs::remove_all(directory);
    fs::create_directories(directory);
    const PageRange range{PageId(0x1000), PageCount(pages)};
    ImageBuilder(directory)
        .SetRunId(absl::StrCat("run ", pages))
        .AddTask(7)
        .AddMapping(range, MappingKind::kAnonymous)
        .AddPages(range, kLazy | kPresent)
        .Write();
  }

  std::unique_ptr<ImageDirectoryCatalog> Create(
      ImageDirectoryCatalog::NamedDirectories named, std::string root = "") {
    auto catalog =
        ImageDirectoryCatalog::Create(std::move(named), std::move(root));
    EXPECT_OK(catalog);
    return catalog.ok() ? *std::move(catalog) : nullptr;
  }

  TempDir dir_;
  const std::string root_ = dir_.Join("root");
};

TEST_F(ImageDirectoryCatalogTest, OpensANamedImageOnce) {
  WriteImage(dir_.Join("a"));
  auto catalog = Create({{"redis/1", dir_.Join("a")}});
  ASSERT_OK_AND_ASSIGN(auto first, catalog->Open("redis/1"));
  EXPECT_EQ(first->description().page_count, PageCount(4));
  EXPECT_THAT(catalog->Open("redis/1"), IsOkAndHolds(first));
  EXPECT_THAT(catalog->Names(), ElementsAre("redis/1"));
}

TEST_F(ImageDirectoryCatalogTest, FindsWhatLiesBelowTheRoot) {
  WriteImage(root_ + "/b");
  WriteImage(root_ + "/deep/er/a");
  fs::create_directories(root_ + "/empty");
  auto catalog = Create({}, root_);
  EXPECT_THAT(catalog->Names(), ElementsAre("b", "deep/er/a"));
  EXPECT_OK(catalog->Open("deep/er/a"));
  WriteImage(root_ + "/later");
  EXPECT_OK(catalog->Open("later"));
}

TEST_F(ImageDirectoryCatalogTest, AnUnknownNameIsToldWhatThereIs) {
  for (int i = 10; i < 40; ++i) WriteImage(absl::StrCat(root_, "/", i), 1);
  auto catalog = Create({}, root_);
  for (const char* name : {"nope", "", "empty/..", "a/b"}) {
    EXPECT_THAT(catalog->Open(name),
                StatusIs(absl::StatusCode::kNotFound,
                         AllOf(HasSubstr("10, 11, 12"), Not(HasSubstr("30")),
                               HasSubstr("and 10 more"))))
        << name;
  }
}

TEST_F(ImageDirectoryCatalogTest, ADirectoryAboveCheckpointsIsNoImage) {
  WriteImage(root_ + "/deep/a");
  auto catalog = Create({}, root_);
  EXPECT_THAT(catalog->Open("deep"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ImageDirectoryCatalogTest, NoNameLeadsOutOfTheRoot) {
  WriteImage(dir_.Join("secret"));
  WriteImage(root_ + "/inside");
  fs::create_symlink("../secret", root_ + "/link");
  fs::create_symlink(dir_.Join("secret"), root_ + "/absolute");
  fs::create_symlink("inside", root_ + "/fine");
  auto catalog = Create({}, root_);
  for (const std::string& name :
       {std::string("../secret"), std::string("inside/../../secret"),
        dir_.Join("secret"), std::string("link"), std::string("absolute"),
        std::string("./inside"), std::string("inside/"),
        std::string("inside//"), std::string("inside\0x", 8),
        std::string("inside\n"), std::string(5000, 'a'),
        std::string("\xff\xfe")}) {
    EXPECT_THAT(catalog->Open(name), StatusIs(absl::StatusCode::kNotFound))
        << name;
  }
  EXPECT_OK(catalog->Open("fine"));
}

TEST_F(ImageDirectoryCatalogTest, ABrokenImageLeavesTheOthersAlone) {
  WriteImage(dir_.Join("good"));
  WriteImage(dir_.Join("bad"));
  fs::resize_file(dir_.Join("bad") + "/pages-1.img", 100);
  auto catalog = Create({{"good", dir_.Join("good")},
                         {"bad", dir_.Join("bad")},
                         {"missing", dir_.Join("missing")},
                         {"empty", dir_.path()}});
  absl::Status bad = catalog->Open("bad").status();
  EXPECT_FALSE(bad.ok());
  EXPECT_THAT(std::string(bad.message()),
              AllOf(HasSubstr(dir_.Join("bad")), Not(HasSubstr("/proc/"))));
  EXPECT_THAT(catalog->Open("missing"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing")));
  EXPECT_THAT(catalog->Open("empty"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("not a checkpoint")));
  EXPECT_OK(catalog->Open("good"));
}

TEST_F(ImageDirectoryCatalogTest, ABrokenImageIsTriedAgain) {
  auto catalog = Create({{"a", dir_.Join("a")}});
  EXPECT_FALSE(catalog->Open("a").ok());
  WriteImage(dir_.Join("a"));
  EXPECT_OK(catalog->Open("a"));
}

TEST_F(ImageDirectoryCatalogTest, AnotherCheckpointInThePlaceIsNoticed) {
  WriteImage(root_ + "/a", 4);
  auto catalog = Create({}, root_);
  ASSERT_OK_AND_ASSIGN(auto former, catalog->Open("a"));
  WriteImage(root_ + "/a", 9);
  ASSERT_OK_AND_ASSIGN(auto latter, catalog->Open("a"));
  EXPECT_EQ(latter->description().page_count, PageCount(9));
  EXPECT_NE(former->description().content_id, latter->description().content_id);
  // Whoever has the former one reads on.
  std::vector<std::byte> buffer(4 * kPageSize);
  EXPECT_OK(former->Read({ImagePage(0), PageCount(4)}, absl::MakeSpan(buffer)));
}

TEST_F(ImageDirectoryCatalogTest, ARemovedCheckpointIsGone) {
  WriteImage(root_ + "/a");
  auto catalog = Create({}, root_);
  ASSERT_OK(catalog->Open("a"));
  fs::remove_all(root_ + "/a");
  EXPECT_THAT(catalog->Open("a"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ImageDirectoryCatalogTest, ThreadsShareOneStore) {
  WriteImage(root_ + "/a");
  auto catalog = Create({}, root_);
  std::vector<std::shared_ptr<const PageStore>> stores(8);
  std::vector<std::thread> threads;
  for (auto& store : stores) {
    threads.emplace_back([&catalog, &store] { store = *catalog->Open("a"); });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& store : stores) EXPECT_EQ(store, stores[0]);
}

TEST_F(ImageDirectoryCatalogTest, RefusesARootThatIsNone) {
  EXPECT_THAT(ImageDirectoryCatalog::Create({}, dir_.Join("nothing")),
              StatusIs(absl::StatusCode::kNotFound));
  WriteImage(root_);
  EXPECT_THAT(
      ImageDirectoryCatalog::Create({}, root_),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--image NAME=")));
}

TEST(CheckImageNameTest, TakesRelativePathsOnly) {
  for (const char* name : {"a", "redis/1", "a b", "..a", "a.b-c_d+e"}) {
    EXPECT_OK(CheckImageName(name)) << name;
  }
  for (const char* name :
       {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", "a\tb"}) {
    EXPECT_FALSE(CheckImageName(name).ok()) << name;
  }
}

TEST_F(ImageDirectoryCatalogTest, AWorkingSetLiesInTheImagesDirectory) {
  WriteImage(root_ + "/a/b");
  auto catalog = Create({}, root_);
  ASSERT_OK_AND_ASSIGN(const WorkingSetFile file,
                       catalog->OpenWorkingSet("a/b"));
  ASSERT_OK_AND_ASSIGN(auto image, catalog->Open("a/b"));
  EXPECT_EQ(file.content_id(), image->description().content_id);
  EXPECT_EQ(file.page_count(), PageCount(4));
  Recording recording;
  recording.Append({ImagePage(1), PageCount(2)});
  EXPECT_OK(file.Add(recording, absl::UnixEpoch()));
  EXPECT_TRUE(fs::exists(root_ + "/a/b/" + WorkingSetFile::kName));
  // It is no image, and makes no other one of that which is there.
  EXPECT_THAT(catalog->Names(), ElementsAre("a/b"));
  EXPECT_THAT(catalog->Open("a/b"), IsOkAndHolds(image));
  EXPECT_THAT(catalog->OpenWorkingSet("a"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
