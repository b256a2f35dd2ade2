// The hook, run by the shell of this host as criu runs it.

#include "daemon/migration/receiver/restore_hook.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

class RestoreHookTest : public ::testing::Test {
 protected:
  RestoreHookTest() {
    WriteFile(hook_, kRestoreHook);
    EXPECT_OK(directory_.Renew());
    setenv(kRestoreDirectoryVariable, path_.c_str(), 1);
    setenv("CRTOOLS_INIT_PID", absl::StrCat(getpid()).c_str(), 1);
  }

  ChildProgram Start(const char* action) {
    setenv("CRTOOLS_SCRIPT_ACTION", action, 1);
    return *ChildProgram::Start({{"/bin/sh", hook_}});
  }
  int Run(const char* action) { return *Start(action).Wait(); }
  void Say(const std::string& words) {
    absl::StatusOr<UniqueFd> gate = directory_.OpenGate();
    ASSERT_OK(gate);
    ASSERT_OK(SendWord(gate->get(), words));
  }
  // What the hook does that is told this once it has opened the gate.
  int RunAndSay(const std::string& words) {
    ChildProgram hook = Start("post-restore");
    EXPECT_TRUE(Eventually([this] { return directory_.Read().held(); }));
    Say(words);
    return *hook.Wait();
  }

  TempDir dir_;
  const std::string hook_ = dir_.Join("hook");
  const std::string path_ = dir_.Join("-a 'quoted' $name\n");
  const RestoreDirectory directory_ = *RestoreDirectory::Open(path_);
};

TEST_F(RestoreHookTest, TellsWhoIsHeldAndWaits) {
  ChildProgram hook = Start("post-restore");
  ASSERT_TRUE(Eventually([this] { return directory_.Read().held(); }));
  const RestoreNotes notes = directory_.Read();
  const ProcessName self = *NameOfProcess(getpid());
  EXPECT_EQ(notes.root->ToText(), self.ToText());
  EXPECT_EQ(notes.criu->ToText(), self.ToText());
  EXPECT_EQ(notes.hook->ToText(), NameOfProcess(hook.pid())->ToText());
  EXPECT_FALSE(notes.passed);
  Say(kCommitWord);
  EXPECT_THAT(hook.Wait(), IsOkAndHolds(0));
  EXPECT_TRUE(directory_.Read().passed);
}

TEST_F(RestoreHookTest, WhateverTheRootCallsItself) {
  char before[16];
  ASSERT_EQ(prctl(PR_GET_NAME, before), 0);
  ASSERT_EQ(prctl(PR_SET_NAME, "a) \\R\n* 1 ) 2"), 0);
  EXPECT_EQ(RunAndSay(kCommitWord), 0);
  prctl(PR_SET_NAME, before);
  EXPECT_EQ(directory_.Read().root->ToText(),
            NameOfProcess(getpid())->ToText());
}

TEST_F(RestoreHookTest, PassesForOneWordOnlyAndForTheFirst) {
  for (const char* words : {"abort\n", "commit \n", " commit\n", "commit\\\n",
                            "Commit\n", "\n", "abort\ncommit\n"}) {
    ASSERT_OK(directory_.Renew());
    EXPECT_EQ(RunAndSay(words), 1) << words;
    EXPECT_FALSE(directory_.Read().passed) << words;
  }
  ASSERT_OK(directory_.Renew());
  EXPECT_EQ(RunAndSay("commit\nabort\n"), 0);
}

TEST_F(RestoreHookTest, DoesNotPassWithoutAGate) {
  std::filesystem::remove(path_ + "/gate");
  EXPECT_NE(Run("post-restore"), 0);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/gate"));
  WriteFile(path_ + "/gate", kCommitWord);
  EXPECT_NE(Run("post-restore"), 0);
}

TEST_F(RestoreHookTest, DoesNotPassWithoutItsDirectoryOrARoot) {
  setenv("CRTOOLS_INIT_PID", "0", 1);
  EXPECT_NE(Run("post-restore"), 0);
  EXPECT_FALSE(directory_.Read().held());
  std::filesystem::remove_all(path_);
  EXPECT_NE(Run("post-restore"), 0);
  EXPECT_NE(Run("pre-restore"), 0);
}

TEST_F(RestoreHookTest, DoesNothingForOtherActionsThanTwo) {
  for (const char* action :
       {"pre-restore", "setup-namespaces", "post-setup-namespaces",
        "network-unlock", "post-resume"}) {
    EXPECT_EQ(Run(action), 0) << action;
  }
  EXPECT_FALSE(directory_.Read().held());
  EXPECT_FALSE(directory_.Read().resuming);
  EXPECT_EQ(Run("pre-resume"), 0);
  EXPECT_TRUE(directory_.Read().resuming);
}

}  // namespace
}  // namespace pagelift
