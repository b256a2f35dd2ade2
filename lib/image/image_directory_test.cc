#include "lib/image/image_directory.h"

#include <sys/stat.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageDirectoryTest : public ::testing::Test {
 protected:
  std::string MakeDirectory(const std::string& name) {
    std::filesystem::create_directory(dir_.Join(name));
    return dir_.Join(name);
  }

  TempDir dir_;
};

TEST_F(ImageDirectoryTest, ReadsAndListsFiles) {
  WriteFile(dir_.Join("b.img"), "contents");
  WriteFile(dir_.Join("a.img"), "");
  ASSERT_OK_AND_ASSIGN(ImageDirectory images,
                       ImageDirectory::Open(dir_.path()));
  EXPECT_THAT(images.ReadFile("b.img"), IsOkAndHolds("contents"));
  EXPECT_THAT(images.ReadFile("a.img"), IsOkAndHolds(""));
  EXPECT_THAT(images.List(), IsOkAndHolds(ElementsAre("a.img", "b.img")));
  EXPECT_TRUE(images.Has("a.img"));
  EXPECT_FALSE(images.Has("c.img"));
}

TEST_F(ImageDirectoryTest, AMissingFileIsNotFoundByItsPath) {
  ASSERT_OK_AND_ASSIGN(ImageDirectory images,
                       ImageDirectory::Open(dir_.path()));
  EXPECT_THAT(
      images.ReadFile("mm-7.img"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir_.Join("mm-7.img"))));
}

TEST_F(ImageDirectoryTest, AMissingDirectoryIsNotFound) {
  EXPECT_THAT(ImageDirectory::Open(dir_.Join("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST_F(ImageDirectoryTest, ADeviceOrPipeIsNoImage) {
  ASSERT_EQ(mkfifo(dir_.Join("pipe.img").c_str(), 0600), 0);
  MakeDirectory("folder.img");
  ASSERT_OK_AND_ASSIGN(ImageDirectory images,
                       ImageDirectory::Open(dir_.path()));
  for (const char* name : {"pipe.img", "folder.img"}) {
    EXPECT_THAT(images.ReadFile(name),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("not a regular file")));
  }
}

TEST_F(ImageDirectoryTest, AHugeFileIsRefusedBeforeItIsRead) {
  WriteFile(dir_.Join("mm-7.img"), "");
  std::filesystem::resize_file(dir_.Join("mm-7.img"), (uintmax_t{1} << 30) + 1);
  ASSERT_OK_AND_ASSIGN(ImageDirectory images,
                       ImageDirectory::Open(dir_.path()));
  EXPECT_THAT(images.ReadFile("mm-7.img"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1073741825")));
}

TEST_F(ImageDirectoryTest, TheChainFollowsParentLinks) {
  std::string third = MakeDirectory("3");
  std::filesystem::create_directory_symlink("../2", third + "/parent");
  std::filesystem::create_directory_symlink(MakeDirectory("1"),
                                            MakeDirectory("2") + "/parent");
  WriteFile(dir_.Join("1/oldest"), "");
  ASSERT_OK_AND_ASSIGN(auto chain, OpenImageChain(third));
  ASSERT_EQ(chain.size(), 3u);
  EXPECT_TRUE(chain[2].Has("oldest"));
}

TEST_F(ImageDirectoryTest, ADanglingParentLinkIsAnError) {
  std::filesystem::create_directory_symlink("../gone", dir_.Join("parent"));
  EXPECT_THAT(OpenImageChain(dir_.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("parent")));
}

TEST_F(ImageDirectoryTest, ACircleOfParentsIsAnError) {
  std::filesystem::create_directory_symlink(".", dir_.Join("parent"));
  EXPECT_THAT(
      OpenImageChain(dir_.path()),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("circle")));
}

}  // namespace
}  // namespace pagelift
