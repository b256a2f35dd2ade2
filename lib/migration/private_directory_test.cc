#include "lib/migration/private_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(PrivateDirectoryTest, IsMadeWithThoseAboveIt) {
  const TempDir dir;
  const std::string path = dir.Join("a/b/c");
  ASSERT_OK(MakePrivateDirectory(path));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_OK(MakePrivateDirectory(path));
}

TEST(PrivateDirectoryTest, OneThatOthersCanLookIntoIsRefused) {
  const TempDir dir;
  const std::string path = dir.Join("open");
  ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  EXPECT_THAT(
      MakePrivateDirectory(path),
      StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("chmod 700")));
}

TEST(PrivateDirectoryTest, ALinkIsRefused) {
  const TempDir dir;
  ASSERT_OK(MakePrivateDirectory(dir.Join("real")));
  ASSERT_EQ(symlink(dir.Join("real").c_str(), dir.Join("link").c_str()), 0);
  EXPECT_THAT(MakePrivateDirectory(dir.Join("link")),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace pagelift
