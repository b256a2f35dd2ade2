#include "daemon/migration/receiver/image_intake.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using Files = std::map<std::string, std::string>;

ShippedFile Described(const std::string& name, const std::string& contents) {
  return {name, contents.size(), Xxh3::Of(BytesOf(contents))};
}

class ImageIntakeTest : public ::testing::Test {
 protected:
  ImageIntake Begin(size_t files, ImageIntake::Limits limits = {}) {
    return *ImageIntake::Begin(dir_.path(), files, limits);
  }
  absl::Status Take(const Files& files) {
    ImageIntake intake = Begin(files.size());
    for (const auto& [name, contents] : files) {
      absl::Status status = intake.BeginFile(Described(name, contents));
      if (status.ok()) status = intake.Add(BytesOf(contents));
      if (!status.ok()) return status;
    }
    return intake.Publish();
  }
  // What is in `images`; nothing if that is not there.
  std::optional<Files> Images() const {
    if (!std::filesystem::exists(dir_.Join("images"))) return std::nullopt;
    Files files;
    for (const auto& entry :
         std::filesystem::directory_iterator(dir_.Join("images"))) {
      files[entry.path().filename()] = *ReadFile(entry.path());
    }
    return files;
  }

  TempDir dir_;
};

TEST_F(ImageIntakeTest, FilesComeInPieces) {
  ImageIntake intake = Begin(2);
  ASSERT_OK(intake.BeginFile(Described("core-1.img", "contents")));
  ASSERT_OK(intake.Add(BytesOf("cont")));
  ASSERT_OK(intake.Add(BytesOf("")));
  ASSERT_OK(intake.Add(BytesOf("ents")));
  ASSERT_OK(intake.BeginFile(Described("empty.img", "")));
  EXPECT_EQ(Images(), std::nullopt);
  ASSERT_OK(intake.Publish());
  EXPECT_THAT(*Images(), ElementsAre(Pair("core-1.img", "contents"),
                                     Pair("empty.img", "")));
  struct stat info;
  ASSERT_EQ(stat(dir_.Join("images").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(dir_.Join("images/core-1.img").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("images.new")));
}

TEST_F(ImageIntakeTest, AnEarlierTryIsReplacedAsAWhole) {
  ASSERT_OK(Take({{"a.img", "1"}, {"b.img", "1"}}));
  ASSERT_OK(Take({{"b.img", "2"}, {"c.img", "2"}}));
  EXPECT_THAT(*Images(), ElementsAre(Pair("b.img", "2"), Pair("c.img", "2")));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("images.old")));
}

TEST_F(ImageIntakeTest, WhatADeadOneHasLeftIsRemoved) {
  ASSERT_OK(Take({{"a.img", "1"}}));
  {
    ImageIntake dropped = Begin(2);
    ASSERT_OK(dropped.BeginFile(Described("half.img", "half")));
    ASSERT_OK(dropped.Add(BytesOf("ha")));
  }
  // Killed between the two renames, in which nothing is published.
  std::filesystem::rename(dir_.Join("images"), dir_.Join("images.old"));
  EXPECT_EQ(Images(), std::nullopt);
  ASSERT_OK(Take({{"b.img", "2"}}));
  EXPECT_THAT(*Images(), ElementsAre(Pair("b.img", "2")));
  EXPECT_FALSE(std::filesystem::exists(dir_.Join("images.old")));
}

TEST_F(ImageIntakeTest, ALinkIsReplacedAndNotFollowed) {
  ASSERT_EQ(mkdir(dir_.Join("other").c_str(), 0700), 0);
  WriteFile(dir_.Join("other/precious"), "x");
  for (const char* name : {"images", "images.new", "images.old"}) {
    ASSERT_EQ(symlink("other", dir_.Join(name).c_str()), 0);
  }
  ASSERT_OK(Take({{"a.img", "1"}}));
  EXPECT_THAT(*Images(), ElementsAre(Pair("a.img", "1")));
  EXPECT_THAT(ReadFile(dir_.Join("other/precious")), IsOkAndHolds("x"));
}

TEST_F(ImageIntakeTest, NamesThatLeadElsewhereAreRefused) {
  const std::vector<std::string> names = {"",
                                          ".",
                                          "..",
                                          "/etc/passwd",
                                          "a/b",
                                          "../a",
                                          "a\nb.img",
                                          "a b",
                                          "\xff.img",
                                          ".hidden",
                                          "a/",
                                          std::string("a\0b.img", 7),
                                          std::string(201, 'a')};
  for (const std::string& name : names) {
    ImageIntake intake = Begin(1);
    EXPECT_THAT(intake.BeginFile(Described(name, "")),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << name;
    EXPECT_FALSE(intake.Publish().ok());
  }
  EXPECT_EQ(Images(), std::nullopt);
}

TEST_F(ImageIntakeTest, FilesAreOfTheSizeThatWasSaid) {
  ImageIntake longer = Begin(1);
  ASSERT_OK(longer.BeginFile(Described("a.img", "abc")));
  EXPECT_THAT(
      longer.Add(BytesOf("abcd")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("longer")));
  ImageIntake shorter = Begin(1);
  ASSERT_OK(shorter.BeginFile(Described("a.img", "abc")));
  ASSERT_OK(shorter.Add(BytesOf("ab")));
  EXPECT_THAT(shorter.Publish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("shorter")));
  EXPECT_EQ(Images(), std::nullopt);
}

TEST_F(ImageIntakeTest, ADamagedFileIsRefused) {
  ImageIntake intake = Begin(2);
  ASSERT_OK(intake.BeginFile(Described("a.img", "abc")));
  ASSERT_OK(intake.Add(BytesOf("abd")));
  EXPECT_THAT(intake.BeginFile(Described("b.img", "")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a.img")));
  EXPECT_THAT(intake.Publish(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Images(), std::nullopt);
}

TEST_F(ImageIntakeTest, AsManyFilesComeAsWasSaid) {
  EXPECT_FALSE(ImageIntake::Begin(dir_.path(), 0).ok());
  EXPECT_FALSE(ImageIntake::Begin(dir_.path(), 3, {2, 100}).ok());
  ImageIntake intake = Begin(1);
  EXPECT_THAT(intake.Publish(), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(intake.BeginFile(Described("a.img", "")));
  EXPECT_THAT(intake.BeginFile(Described("b.img", "")),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ImageIntake twice = Begin(2);
  ASSERT_OK(twice.BeginFile(Described("a.img", "")));
  EXPECT_THAT(twice.BeginFile(Described("a.img", "")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("twice")));
}

TEST_F(ImageIntakeTest, TheSumOfTheSizesIsBounded) {
  ImageIntake intake = Begin(3, {3, 100});
  ASSERT_OK(intake.BeginFile(Described("a.img", std::string(60, 'a'))));
  ASSERT_OK(intake.Add(BytesOf(std::string(60, 'a'))));
  EXPECT_THAT(intake.BeginFile({"b.img", 41, 0}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(intake.BeginFile({"b.img", ~uint64_t{0}, 0}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(intake.BeginFile({"b.img", 40, 0}));
}

TEST_F(ImageIntakeTest, ContentsBelongToAFile) {
  ImageIntake intake = Begin(1);
  EXPECT_THAT(intake.Add(BytesOf("x")),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::filesystem::directory_iterator(dir_.Join("images.new")),
              std::filesystem::directory_iterator());
}

}  // namespace
}  // namespace pagelift
