#include "lib/base/sys_error.h"

#include <cerrno>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(SysErrorTest, SaysWhatWasBeingDoneAndWhy) {
  errno = ENOENT;
  absl::Status status = SysError("open ", "/nowhere");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("open /nowhere"));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("No such file or directory"));
}

TEST(SysErrorTest, AnnotateKeepsTheCode) {
  absl::Status status = Annotate(absl::DataLossError("short"), "pages-1.img");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "pages-1.img: short");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

}  // namespace
}  // namespace pagelift
