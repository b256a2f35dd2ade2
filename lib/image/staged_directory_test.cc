#include "lib/image/staged_directory.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StagedDirectoryTest : public ::testing::Test {
 protected:
  std::vector<std::string> Names(const std::string& path) {
    auto directory = ImageDirectory::Open(path);
    EXPECT_OK(directory);
    auto names = directory->List();
    EXPECT_OK(names);
    return *names;
  }

  TempDir dir_;
};

TEST_F(StagedDirectoryTest, AppearsWhenItIsPublished) {
  auto staged = StagedDirectory::Make(dir_.Join("out/"));
  ASSERT_OK(staged);
  ASSERT_OK(staged->WriteFile("a.img", "contents"));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("out")));
  ASSERT_OK(staged->Publish());
  EXPECT_THAT(Names(dir_.path()), ElementsAre("out"));
  EXPECT_THAT(Names(dir_.Join("out")), ElementsAre("a.img"));
}

TEST_F(StagedDirectoryTest, LeavesNothingIfItIsNotPublished) {
  {
    auto staged = StagedDirectory::Make(dir_.Join("out"));
    ASSERT_OK(staged);
    ASSERT_OK(staged->WriteFile("a.img", "contents"));
  }
  EXPECT_THAT(Names(dir_.path()), IsEmpty());
}

TEST_F(StagedDirectoryTest, DoesNotReplaceAnything) {
  WriteFile(dir_.Join("file"), "precious");
  EXPECT_THAT(StagedDirectory::Make(dir_.Join("file")).status(),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("file")));
  auto staged = StagedDirectory::Make(dir_.Join("out"));
  ASSERT_OK(staged);
  std::filesystem::create_directory(dir_.Join("out"));
  EXPECT_THAT(staged->Publish(), StatusIs(absl::StatusCode::kAlreadyExists,
                                          HasSubstr("exists already")));
}

TEST_F(StagedDirectoryTest, SaysWhereItCannotBe) {
  EXPECT_THAT(
      StagedDirectory::Make(dir_.Join("nowhere/out")).status(),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir_.Join("nowhere"))));
}

TEST_F(StagedDirectoryTest, CopiesAreFilesOfTheirOwn) {
  WriteFile(dir_.Join("from"), std::string(3 << 20, 'x'));
  ASSERT_EQ(chmod(dir_.Join("from").c_str(), 0640), 0);
  std::filesystem::create_symlink(dir_.Join("from"), dir_.Join("link"));
  auto from = ImageDirectory::Open(dir_.path());
  ASSERT_OK(from);
  auto staged = StagedDirectory::Make(dir_.Join("out"));
  ASSERT_OK(staged);
  EXPECT_THAT(staged->CopyFile(*from, "link"), IsOkAndHolds(3u << 20));
  ASSERT_OK(staged->LinkFile(dir_.path(), "from"));
  ASSERT_OK(staged->Publish());
  struct stat status;
  ASSERT_EQ(lstat(dir_.Join("out/link").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | mode_t{0640});
  EXPECT_EQ(status.st_nlink, 1u);
  EXPECT_TRUE(
      std::filesystem::equivalent(dir_.Join("out/from"), dir_.Join("from")));
}

TEST_F(StagedDirectoryTest, WhatADeadProcessHasLeftIsRemoved) {
  auto mine = StagedDirectory::Make(dir_.Join("dump-1"));
  auto another = StagedDirectory::Make(dir_.Join("redis"));
  ASSERT_OK(mine);
  ASSERT_OK(another);
  ASSERT_OK(mine->WriteFile("pages-1.img", "contents"));
  std::filesystem::create_directory(dir_.Join("dump-2"));
  EXPECT_THAT(RemoveStaged(dir_.path(), "dump-"), IsOkAndHolds(1));
  EXPECT_FALSE(std::filesystem::exists(mine->staged_path()));
  EXPECT_TRUE(std::filesystem::exists(another->staged_path()));
  EXPECT_TRUE(std::filesystem::exists(dir_.Join("dump-2")));
}

}  // namespace
}  // namespace pagelift
