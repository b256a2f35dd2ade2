#include "lib/base/read_file.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(ReadFileTest, ReadsAllOfIt) {
  TempDir dir;
  for (size_t size : {0, 1, 65536, 200001}) {
    const std::string text(size, 'a');
    std::ofstream(dir.Join("f")) << text;
    EXPECT_THAT(ReadFile(dir.Join("f")), IsOkAndHolds(text));
  }
}

TEST(ReadFileTest, ReadsFilesWithoutASize) {
  ASSERT_OK_AND_ASSIGN(const std::string status, ReadFile("/proc/self/status"));
  EXPECT_THAT(status, HasSubstr("Pid:"));
}

TEST(ReadFileTest, WhatCannotBeReadIsNotEmpty) {
  TempDir dir;
  EXPECT_THAT(
      ReadFile(dir.Join("none")),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir.Join("none"))));
  EXPECT_FALSE(ReadFile(dir.path()).ok());
}

}  // namespace
}  // namespace pagelift
