// The real holder, with workers that do as they are told.

#include "daemon/pager/holder/holder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr char kHolder[] = "daemon/pager/holder/testing/holder_under_test";

class HolderTest : public ::testing::Test {
 protected:
  // argv[0] is an absolute path: workers may want to be upgraded to it.
  void Start(std::vector<std::string> actions,
             const std::string& program = kHolder) {
    char path[PATH_MAX];
    ASSERT_NE(realpath(program.c_str(), path), nullptr);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    said_ = UniqueFd(ends[0]);
    const UniqueFd say(ends[1]);
    pid_ = fork();
    if (pid_ != 0) return;
    dup2(say.get(), STDOUT_FILENO);
    std::vector<char*> argv = {path};
    for (std::string& action : actions) argv.push_back(action.data());
    argv.push_back(nullptr);
    execv(path, argv.data());
    _exit(127);
  }
  int ExitCode() {
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int Run(std::vector<std::string> actions) {
    Start(std::move(actions));
    return ExitCode();
  }
  // A worker waits for a signal.
  void AwaitReady() {
    char line[6];
    ASSERT_EQ(read(said_.get(), line, sizeof(line)), 6);
  }

  pid_t pid_ = 0;
  UniqueFd said_;
};

TEST_F(HolderTest, ItEndsWithTheCodeOfAWorkerThatEndsInPeace) {
  EXPECT_EQ(Run({"3"}), 3);
}

TEST_F(HolderTest, ACrashIsFollowedByAnotherWorker) {
  EXPECT_EQ(Run({"crash", "crash", "crash", "tell crashes"}), 3);
}

TEST_F(HolderTest, WhatAWorkerHasOpenedOutlivesIt) {
  EXPECT_EQ(Run({"leave and crash", "check"}), 0);
}

TEST_F(HolderTest, AWorkerThatEndsThoughSessionsAreLeftHasCrashed) {
  EXPECT_EQ(Run({"leave and end", "check"}), 0);
}

TEST_F(HolderTest, AStopReachesTheWorker) {
  Start({"term"});
  AwaitReady();
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 7);
}

TEST_F(HolderTest, AStopReachesTheNextWorkerToo) {
  Start({"term and crash", "term"});
  AwaitReady();
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 7);
}

TEST_F(HolderTest, NoOtherSignalEndsIt) {
  Start({"term"});
  AwaitReady();
  for (int signal : {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGQUIT, SIGPIPE}) {
    kill(pid_, signal);
  }
  EXPECT_EQ(waitpid(pid_, nullptr, WNOHANG), 0);
  kill(pid_, SIGTERM);
  EXPECT_EQ(ExitCode(), 7);
}

TEST_F(HolderTest, AnUpgradeKeepsWhatIsOpen) {
  EXPECT_EQ(Run({"leave and upgrade", "check"}), 0);
  EXPECT_EQ(Run({"leave and upgrade", "leave and upgrade", "leave and crash",
                 "check"}),
            0);
}

TEST_F(HolderTest, AProgramThatCannotBeStartedIsNoUpgrade) {
  EXPECT_EQ(Run({"upgrade to nothing", "tell upgrades"}), 0);
  EXPECT_EQ(Run({"upgrade to nothing", "5"}), 5);
}

TEST_F(HolderTest, AWorkerThatStandsStillIsReplaced) {
  EXPECT_EQ(Run({"stand still", "stand still", "tell crashes"}), 2);
}

TEST_F(HolderTest, AWorkerThatNeedNotMoveIsLeftAlone) {
  EXPECT_EQ(Run({"rest", "tell crashes"}), 9);
}

TEST_F(HolderTest, WithoutItsLibraryItSaysSo) {
  TempDir dir;
  const std::string alone = dir.Join("holder");
  ASSERT_EQ(system(("cp -L " + std::string(kHolder) + " " + alone).c_str()), 0);
  Start({"0"}, alone);
  EXPECT_EQ(ExitCode(), 1);
}

}  // namespace
}  // namespace pagelift
