#include "client/cli/criu_restore.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Programs in place of criu that fail, or not, on demand.
class CriuRestoreTest : public ::testing::Test {
 protected:
  // Does what `script` says in criu's place; $7 is the work directory.
  absl::Status Run(const std::string& script) {
    restore_.criu = dir_.Join("criu");
    std::ofstream(restore_.criu) << "#!/bin/sh\n" << script << "\n";
    chmod(restore_.criu.c_str(), 0755);
    restore_.images = "/images";
    restore_.work_dir = dir_.path();
    return RunCriuRestore(restore_);
  }

  TempDir dir_;
  CriuRestore restore_;
};

TEST_F(CriuRestoreTest, RestoresLazilyAndPassesOptionsOn) {
  restore_.options = {"--shell-job", "a b"};
  ASSERT_OK(Run("printf '%s\\n' \"$@\" > $7/arguments"));
  std::ifstream file(dir_.Join("arguments"));
  std::vector<std::string> arguments;
  for (std::string line; std::getline(file, line);) arguments.push_back(line);
  EXPECT_THAT(arguments,
              ElementsAre("restore", "--lazy-pages", "--restore-detached",
                          "--images-dir", "/images", "--work-dir", dir_.path(),
                          "--log-file", "restore.log", "--shell-job", "a b"));
}

TEST_F(CriuRestoreTest, QuotesTheLastErrorsOfTheLog) {
  absl::Status status =
      Run("for i in 1 2 3 4; do echo \"Error (file.c:$i): no $i\"; done "
          "> $7/restore.log; echo 'pie: bye' >> $7/restore.log; exit 7");
  EXPECT_THAT(
      status,
      StatusIs(
          absl::StatusCode::kAborted,
          AllOf(HasSubstr("(exit code 7): Error (file.c:2): no 2; Error"),
                HasSubstr("Error (file.c:4): no 4"), Not(HasSubstr("no 1")),
                HasSubstr("its log: " + dir_.Join("restore.log")),
                HasSubstr(restore_.criu + " check --feature uffd-noncoop"))));
}

TEST_F(CriuRestoreTest, SaysWhenTheLogHasNoError) {
  EXPECT_THAT(Run("echo fine > $7/restore.log; exit 1"),
              StatusIs(absl::StatusCode::kAborted,
                       AllOf(HasSubstr(dir_.Join("restore.log")),
                             HasSubstr("has no error"))));
}

TEST_F(CriuRestoreTest, PointsToNoLogThatIsNotThere) {
  // Of an earlier run in the same directory.
  std::ofstream(dir_.Join("restore.log")) << "Error (old.c:1): old\n";
  EXPECT_THAT(Run("exit 1"),
              StatusIs(absl::StatusCode::kAborted,
                       AllOf(HasSubstr("wrote no restore.log"),
                             Not(HasSubstr("old.c")), Not(HasSubstr("its log")),
                             HasSubstr("tools/install_deps"))));
}

TEST_F(CriuRestoreTest, SaysWhenItCannotBeStarted) {
  restore_.criu = dir_.Join("nothing");
  restore_.work_dir = dir_.path();
  EXPECT_THAT(RunCriuRestore(restore_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
}

}  // namespace
}  // namespace pagelift
