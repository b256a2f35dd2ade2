#include "lib/base/file_identity.h"

#include <fcntl.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

class FileIdentityTest : public ::testing::Test {
 protected:
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }

  TempDir dir_;
  const std::string path_ = dir_.Join("a");
};

TEST_F(FileIdentityTest, StaysAsLongAsNothingHappens) {
  Write(path_, "x");
  ASSERT_OK_AND_ASSIGN(auto first, FileIdentity::Of(AT_FDCWD, path_));
  EXPECT_THAT(FileIdentity::Of(AT_FDCWD, path_), IsOkAndHolds(first));
}

TEST_F(FileIdentityTest, IsAnotherWhenWrittenToOrReplaced) {
  Write(path_, "x");
  ASSERT_OK_AND_ASSIGN(auto first, FileIdentity::Of(AT_FDCWD, path_));
  Write(path_, "longer");
  ASSERT_OK_AND_ASSIGN(auto second, FileIdentity::Of(AT_FDCWD, path_));
  EXPECT_FALSE(first == second);
  Write(dir_.Join("b"), "longer");
  std::filesystem::rename(dir_.Join("b"), path_);
  ASSERT_OK_AND_ASSIGN(auto third, FileIdentity::Of(AT_FDCWD, path_));
  EXPECT_FALSE(second == third);
}

TEST_F(FileIdentityTest, FollowsALinkToWhatItMeansNow) {
  Write(dir_.Join("1"), "x");
  Write(dir_.Join("2"), "x");
  std::filesystem::create_symlink("1", path_);
  ASSERT_OK_AND_ASSIGN(auto first, FileIdentity::Of(AT_FDCWD, path_));
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("2", path_);
  ASSERT_OK_AND_ASSIGN(auto second, FileIdentity::Of(AT_FDCWD, path_));
  EXPECT_FALSE(first == second);
}

TEST_F(FileIdentityTest, SaysThatThereIsNone) {
  EXPECT_THAT(FileIdentity::Of(AT_FDCWD, path_),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
