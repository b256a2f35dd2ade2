#include "lib/base/open_directory.h"

#include <fcntl.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(OpenDirectoryTest, OpensADirectoryThatNobodyInherits) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenDirectory(dir.path()));
  EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST(OpenDirectoryTest, OpensNothingElse) {
  const TempDir dir;
  EXPECT_THAT(
      OpenDirectory(dir.Join("none")),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir.Join("none"))));
  WriteFile(dir.Join("file"), "");
  EXPECT_FALSE(OpenDirectory(dir.Join("file")).ok());
}

}  // namespace
}  // namespace pagelift
