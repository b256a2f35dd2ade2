#include "lib/base/renewed_files.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::Pointee;

class RenewedFilesTest : public ::testing::Test {
 protected:
  RenewedFilesTest() { Write("first"); }

  void Write(const std::string& text) {
    std::ofstream(dir_.Join("new")) << text;
    std::filesystem::rename(dir_.Join("new"), file_);
  }

  auto Load() {
    return RenewedFiles<std::string>::Load(
        {file_}, [this]() -> absl::StatusOr<std::shared_ptr<std::string>> {
          ++reads_;
          std::string text;
          std::ifstream(file_) >> text;
          if (text == "bad") return absl::InvalidArgumentError("it is bad");
          return std::make_shared<std::string>(text);
        });
  }

  TempDir dir_;
  const std::string file_ = dir_.Join("file");
  int reads_ = 0;
};

TEST_F(RenewedFilesTest, IsReadWhenItChanges) {
  ASSERT_OK_AND_ASSIGN(auto files, Load());
  EXPECT_THAT(files->Current(), Pointee(std::string("first")));
  EXPECT_EQ(reads_, 1);
  Write("second");
  EXPECT_THAT(files->Current(), Pointee(std::string("second")));
  files->Current();
  EXPECT_EQ(reads_, 2);
}

TEST_F(RenewedFilesTest, WhatCannotBeUsedIsReadOnce) {
  ASSERT_OK_AND_ASSIGN(auto files, Load());
  Write("bad");
  EXPECT_THAT(files->Current(), Pointee(std::string("first")));
  EXPECT_THAT(files->Current(), Pointee(std::string("first")));
  EXPECT_EQ(reads_, 2);
}

TEST_F(RenewedFilesTest, AFileThatIsGoneMayComeBack) {
  ASSERT_OK_AND_ASSIGN(auto files, Load());
  std::filesystem::remove(file_);
  EXPECT_THAT(files->Current(), Pointee(std::string("first")));
  Write("second");
  EXPECT_THAT(files->Current(), Pointee(std::string("second")));
}

TEST_F(RenewedFilesTest, MustBeUsableAtFirst) {
  Write("bad");
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument));
  std::filesystem::remove(file_);
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(file_)));
}

}  // namespace
}  // namespace pagelift
