#include "lib/process/child_program.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(ChildProgramTest, TellsHowAProgramEnded) {
  EXPECT_THAT(RunProgram({{"/bin/sh", "-c", "exit 7"}}), IsOkAndHolds(7));
  EXPECT_THAT(RunProgram({{"/bin/sh", "-c", "kill -TERM $$"}}),
              IsOkAndHolds(128 + 15));
  EXPECT_THAT(RunProgram({{"/nowhere/none"}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("cannot start")));
}

TEST(ChildProgramTest, AProgramInheritsNoInputAndNoDescriptors) {
  const UniqueFd held(fcntl(STDERR_FILENO, F_DUPFD, 40));
  EXPECT_THAT(
      RunProgram({{"/bin/sh", "-c",
                   absl::StrCat("test -z \"$(cat)\" && test ! -e /proc/$$/fd/",
                                held.get())}}),
      IsOkAndHolds(0));
}

TEST(ChildProgramTest, ItHasWhatItIsToKeepUnderTheSameNumber) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(fcntl(ends[1], F_DUPFD_CLOEXEC, 50));
  close(ends[1]);
  ProgramStart start;
  start.argv = {"/bin/sh", "-c",
                absl::StrCat("echo hello >/proc/self/fd/", write_end.get())};
  start.keep = {write_end.get()};
  EXPECT_THAT(RunProgram(start), IsOkAndHolds(0));
  write_end.reset();
  char said[16] = {};
  EXPECT_EQ(read(read_end.get(), said, sizeof(said)), 6);
  EXPECT_STREQ(said, "hello\n");
}

TEST(ChildProgramTest, ItsOutputIsAppendedToAFile) {
  const TempDir dir;
  ProgramStart start;
  start.output = dir.Join("log");
  start.argv = {"/bin/sh", "-c", "echo out; echo error >&2"};
  ASSERT_THAT(RunProgram(start), IsOkAndHolds(0));
  ASSERT_THAT(RunProgram(start), IsOkAndHolds(0));
  std::stringstream said;
  said << std::ifstream(start.output).rdbuf();
  EXPECT_EQ(said.str(), "out\nerror\nout\nerror\n");
}

TEST(ChildProgramTest, NoSignalIsBlockedOrIgnoredInIt) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, &old);
  EXPECT_THAT(RunProgram({{"/bin/sh", "-c", "kill -TERM $$"}}),
              IsOkAndHolds(128 + SIGTERM));
  EXPECT_THAT(RunProgram({{"/bin/sh", "-c", "kill -PIPE $$"}}),
              IsOkAndHolds(128 + SIGPIPE));
  sigprocmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace
}  // namespace pagelift
