#include "daemon/migration/hosts/hook.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

class HookTest : public ::testing::Test {
 protected:
  std::string Program(const std::string& script) {
    const std::string path = dir_.Join("hook");
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    chmod(path.c_str(), 0755);
    return path;
  }
  TempDir dir_;
};

TEST_F(HookTest, IsToldWhatHappensToWhich) {
  const std::string said = dir_.Join("said");
  ASSERT_OK(RunHook(Program("echo $1 $2 > " + said), "commit", "abc"));
  std::stringstream text;
  text << std::ifstream(said).rdbuf();
  EXPECT_EQ(text.str(), "commit abc\n");
}

TEST_F(HookTest, NoneIsNothingToDo) { EXPECT_OK(RunHook("", "commit", "")); }

TEST_F(HookTest, ItsFailureIsTold) {
  EXPECT_THAT(RunHook(Program("exit 3"), "commit", "abc"),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("code 3")));
  EXPECT_THAT(RunHook("/nowhere/none", "commit", "abc"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST_F(HookTest, OneThatDoesNotEndIsKilled) {
  EXPECT_THAT(
      RunHook(Program("exec sleep 1000"), "commit", "abc",
              absl::Milliseconds(20)),
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("too long")));
}

}  // namespace
}  // namespace pagelift
