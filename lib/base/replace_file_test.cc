#include "lib/base/replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

class ReplaceFileTest : public ::testing::Test {
 protected:
  std::string Contents(const std::string& name) const {
    std::ifstream file(dir_.Join(name));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  bool IsThere(const std::string& name) const {
    return access(dir_.Join(name).c_str(), F_OK) == 0;
  }

  const TempDir dir_;
  const UniqueFd fd_{open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY)};
};

TEST_F(ReplaceFileTest, MakesAndReplaces) {
  EXPECT_OK(ReplaceFile(fd_.get(), "file", "first"));
  EXPECT_EQ(Contents("file"), "first");
  // What somebody has left who died over it.
  std::ofstream(dir_.Join("file.new")) << "half";
  EXPECT_OK(ReplaceFile(fd_.get(), "file", "second"));
  EXPECT_EQ(Contents("file"), "second");
  EXPECT_FALSE(IsThere("file.new"));
  struct stat status;
  ASSERT_EQ(stat(dir_.Join("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ReplaceFileTest, DoesTheSameUnsynced) {
  EXPECT_OK(ReplaceUnsynced(fd_.get(), "file", "first"));
  std::ofstream(dir_.Join("file.new")) << "half";
  EXPECT_OK(ReplaceUnsynced(fd_.get(), "file", "second"));
  EXPECT_EQ(Contents("file"), "second");
  EXPECT_FALSE(IsThere("file.new"));
}

TEST_F(ReplaceFileTest, LeavesTheOldOneWhereItCannotReplace) {
  ASSERT_EQ(mkdir(dir_.Join("file").c_str(), 0700), 0);
  EXPECT_FALSE(ReplaceFile(fd_.get(), "file", "contents").ok());
  EXPECT_TRUE(IsThere("file"));
  EXPECT_FALSE(IsThere("file.new"));
}

TEST_F(ReplaceFileTest, RemovesBoth) {
  EXPECT_OK(ReplaceFile(fd_.get(), "file", "contents"));
  std::ofstream(dir_.Join("file.new")) << "half";
  EXPECT_OK(RemoveReplaceableFile(fd_.get(), "file"));
  EXPECT_FALSE(IsThere("file"));
  EXPECT_FALSE(IsThere("file.new"));
  EXPECT_OK(RemoveReplaceableFile(fd_.get(), "file"));
}

}  // namespace
}  // namespace pagelift
