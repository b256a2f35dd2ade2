#include "lib/process/find_program.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FindProgramTest : public ::testing::Test {
 protected:
  void SetUp() override { unsetenv("PAGELIFT_CRIU"); }
  void TearDown() override { unsetenv("PAGELIFT_CRIU"); }

  std::string Program(const std::string& name, int mode = 0755) {
    const std::string path = dir_.Join(name);
    std::ofstream(path) << "#!/bin/sh\n";
    chmod(path.c_str(), mode);
    return path;
  }

  TempDir dir_;
};

TEST_F(FindProgramTest, TheCriuThatWasAskedForGoesFirst) {
  const std::string asked = Program("asked");
  setenv("PAGELIFT_CRIU", Program("other").c_str(), 1);
  EXPECT_THAT(FindCriu(asked), IsOkAndHolds(asked));
}

TEST_F(FindProgramTest, ThenThatOfTheEnvironment) {
  const std::string criu = Program("criu");
  setenv("PAGELIFT_CRIU", criu.c_str(), 1);
  EXPECT_THAT(FindCriu(""), IsOkAndHolds(criu));
}

TEST_F(FindProgramTest, WhatIsNamedAndNotThereIsNotReplacedByAnother) {
  EXPECT_THAT(FindCriu(dir_.Join("none")),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("none"), HasSubstr("--criu"))));
  setenv("PAGELIFT_CRIU", Program("text", 0644).c_str(), 1);
  EXPECT_THAT(FindCriu(""), StatusIs(absl::StatusCode::kNotFound,
                                     HasSubstr("PAGELIFT_CRIU")));
  EXPECT_THAT(FindCriu(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FindProgramTest, ASiblingThatIsNotThereIsLeftToThePath) {
  EXPECT_EQ(SiblingProgram("no-such-program"), "no-such-program");
}

}  // namespace
}  // namespace pagelift
