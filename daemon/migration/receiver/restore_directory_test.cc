#include "daemon/migration/receiver/restore_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

class RestoreDirectoryTest : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string path_ = dir_.Join("restore");
  const RestoreDirectory directory_ = *RestoreDirectory::Open(path_);
};

TEST_F(RestoreDirectoryTest, ANewOneIsPrivateAndKnowsNothing) {
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_FALSE(directory_.Read().of_this_boot);
  EXPECT_FALSE(directory_.HasKeeper());
}

TEST_F(RestoreDirectoryTest, WhatIsNotedIsReadAndForgotten) {
  ASSERT_OK(directory_.Renew());
  ASSERT_OK(directory_.NoteKeeper({23, 42}));
  ASSERT_OK(directory_.NoteCriu({24, 43}));
  ASSERT_OK(directory_.NoteAborted());
  ASSERT_OK(directory_.NoteLetGo());
  ASSERT_OK(directory_.NoteExit(137));
  RestoreNotes notes = RestoreDirectory::Open(path_)->Read();
  EXPECT_TRUE(notes.of_this_boot);
  EXPECT_EQ(notes.keeper->pid, 23);
  EXPECT_EQ(notes.criu->start_ticks, 43u);
  EXPECT_TRUE(notes.aborted);
  EXPECT_TRUE(notes.let_go);
  EXPECT_FALSE(notes.held());
  EXPECT_FALSE(notes.passed);
  EXPECT_EQ(notes.exit_code, 137);
  ASSERT_OK(directory_.Renew());
  notes = directory_.Read();
  EXPECT_FALSE(notes.keeper.has_value());
  EXPECT_FALSE(notes.let_go);
  EXPECT_EQ(notes.exit_code, std::nullopt);
}

TEST_F(RestoreDirectoryTest, TellsHowFarTheKeeperIs) {
  ASSERT_OK(directory_.Renew());
  ASSERT_OK(directory_.NoteHeld({1, 2}));
  EXPECT_EQ(directory_.Read().root->start_ticks, 2u);
  EXPECT_TRUE(directory_.Read().held());
  EXPECT_FALSE(directory_.Read().passed);
  ASSERT_OK(directory_.NotePassed());
  EXPECT_TRUE(directory_.Read().passed);
  EXPECT_FALSE(directory_.Read().resuming);
  ASSERT_OK(directory_.NoteResuming());
  EXPECT_TRUE(directory_.Read().resuming);
}

TEST_F(RestoreDirectoryTest, AHalfWrittenNoteIsNone) {
  ASSERT_OK(directory_.Renew());
  for (const char* text : {"", "1 2", "1\n", "a b\n"}) {
    WriteFile(path_ + "/held", text);
    EXPECT_FALSE(directory_.Read().held()) << text;
  }
}

TEST_F(RestoreDirectoryTest, WhatIsToBeRestoredIsToldAsItIs) {
  ASSERT_OK(directory_.Renew());
  EXPECT_FALSE(directory_.Read().begun);
  EXPECT_FALSE(directory_.ReadBegun().ok());
  const std::vector<std::string> words = {"/a b", "", "c\nd", "--e=\"f\""};
  ASSERT_OK(directory_.NoteBegun(words));
  EXPECT_TRUE(directory_.Read().begun);
  EXPECT_THAT(directory_.ReadBegun(), IsOkAndHolds(words));
}

TEST_F(RestoreDirectoryTest, TheNotesOfAnotherBootAreKnownAsThose) {
  ASSERT_OK(directory_.Renew());
  WriteFile(path_ + "/boot", "another\n");
  EXPECT_FALSE(directory_.Read().of_this_boot);
}

TEST_F(RestoreDirectoryTest, OneKeeperAtATime) {
  {
    ASSERT_OK_AND_ASSIGN(UniqueFd lock, directory_.LockForKeeper());
    UniqueFd keepers(dup(lock.get()));
    lock.reset();
    EXPECT_TRUE(directory_.HasKeeper());
    EXPECT_THAT(directory_.LockForKeeper(),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  EXPECT_FALSE(directory_.HasKeeper());
  EXPECT_OK(directory_.LockForKeeper());
}

TEST_F(RestoreDirectoryTest, WhatIsSaidStaysInTheGateAsLongAsItIsOpen) {
  ASSERT_OK(directory_.Renew());
  ASSERT_OK_AND_ASSIGN(UniqueFd kept, directory_.OpenGate());
  {
    ASSERT_OK_AND_ASSIGN(UniqueFd gate, directory_.OpenGate());
    ASSERT_OK(SendWord(gate.get(), kCommitWord));
  }
  char word[16] = {};
  EXPECT_EQ(read(kept.get(), word, sizeof(word)), 7);
  EXPECT_STREQ(word, "commit\n");
}

TEST_F(RestoreDirectoryTest, KnowsThatItWasRemoved) {
  EXPECT_FALSE(directory_.IsGone());
  std::filesystem::remove_all(path_);
  EXPECT_TRUE(directory_.IsGone());
}

}  // namespace
}  // namespace pagelift
