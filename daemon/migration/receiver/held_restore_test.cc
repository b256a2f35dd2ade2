// Real criu, a real tree with a thread: held, let go, taken back, and whoever
// takes part killed meanwhile.

#include "daemon/migration/receiver/held_restore.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restore_keeper.h"
#include "daemon/migration/receiver/restore_situation.h"
#include "daemon/migration/receiver/restored_processes.h"
#include "daemon/migration/receiver/restorer_wait.h"
#include "daemon/migration/receiver/testing/dumped_program.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

using State = HeldRestoreState;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class HeldRestoreTest : public ::testing::Test {
 protected:
  HeldRestoreTest() {
    EXPECT_EQ(mkdir(work_.c_str(), 0700), 0);
    options_.criu = program_.criu();
    options_.images = program_.images();
    options_.work_dir = work_;
    options_.lazy = false;
  }

  static absl::Time Soon() { return absl::Now() + kSoon; }
  RestoreNotes Notes() const {
    return RestoreDirectory::Open(directory_)->Read();
  }
  void Start() {
    absl::StatusOr<HeldRestore> restore =
        HeldRestore::Start(directory_, options_);
    ASSERT_OK(restore);
    restore_.emplace(*std::move(restore));
  }
  // Another worker after the death of the one before.
  void Adopt() {
    restore_.reset();
    absl::StatusOr<HeldRestore> restore =
        HeldRestore::Adopt(directory_, options_);
    ASSERT_OK(restore);
    restore_.emplace(*std::move(restore));
  }
  void StartAndHold() {
    Start();
    ASSERT_OK(restore_->WaitHeld(Soon()));
    ASSERT_EQ(restore_->state(), State::kHeld);
    ASSERT_TRUE(restore_->NothingHasRun());
  }
  // Criu tells that they are restored when they are about to wait for it.
  bool AllComeToWait() const {
    return Eventually([this] {
      return PlaceInRestorer(RestoredTasks(Notes())) == RestorerPlace::kWaiting;
    });
  }
  void ExpectRuns() {
    ASSERT_OK(restore_->WaitRunning(Soon()));
    EXPECT_EQ(restore_->state(), State::kRunning);
    EXPECT_FALSE(restore_->NothingHasRun());
    EXPECT_TRUE(program_.Runs());
  }
  void ExpectNothingIsLeft() {
    EXPECT_EQ(restore_->state(), State::kGone);
    EXPECT_THAT(RestoreProcesses(Notes()), IsEmpty());
    EXPECT_FALSE(program_.IsThere());
    EXPECT_TRUE(program_.HasNotRun());
    ReapChildren();
  }
  void Kill(const std::optional<ProcessName>& name) {
    ASSERT_TRUE(name.has_value());
    ASSERT_OK_AND_ASSIGN(PidFd process, OpenProcess(*name));
    ASSERT_OK(process.Kill());
    ASSERT_TRUE(Eventually([&process] { return process.HasExited(); }));
  }

  // At once: neither has the time to do anything about the other's death.
  void KillKeeperAndCriu() {
    ASSERT_OK_AND_ASSIGN(PidFd keeper, OpenProcess(*Notes().keeper));
    ASSERT_OK(keeper.Signal(SIGSTOP));
    Kill(Notes().criu);
    ASSERT_OK(keeper.Kill());
    ASSERT_TRUE(Eventually([&keeper] { return keeper.HasExited(); }));
  }

  DumpedProgram program_;
  TempDir dir_;
  const std::string work_ = dir_.Join("work");
  const std::string directory_ = dir_.Join("it's \"held\" $here");
  HeldRestore::Options options_;
  std::optional<HeldRestore> restore_;
};

TEST_F(HeldRestoreTest, WhatIsHeldRunsWhenItIsLetGo) {
  StartAndHold();
  EXPECT_TRUE(AllComeToWait());
  EXPECT_EQ(RestoredTasks(Notes()).size(), 2u);
  EXPECT_TRUE(program_.HasNotRun());
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
  EXPECT_TRUE(Eventually([this] { return Notes().exit_code == 0; }));
  EXPECT_EQ(PlaceInRestorer(RestoredTasks(Notes())), RestorerPlace::kLeft);
  EXPECT_TRUE(Notes().resuming);
  // Said again, it does nothing; and it cannot be taken back.
  EXPECT_OK(restore_->LetGo());
  EXPECT_THAT(restore_->Abort(Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(HeldRestore::Start(directory_, options_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(program_.Runs());
}

TEST_F(HeldRestoreTest, WhatIsTakenBackLeavesNothing) {
  StartAndHold();
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  EXPECT_EQ(Notes().exit_code, 1);
  EXPECT_TRUE(restore_->NothingHasRun());
  EXPECT_THAT(restore_->LetGo(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_OK(restore_->Abort(Soon()));
  // And it can be restored again.
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, ACriuThatHangsIsKilledWithAllThatItHasMade) {
  options_.patience = absl::ZeroDuration();
  StartAndHold();
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, ARestoreThatHasOnlyBegunIsTakenBack) {
  Start();
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, WhenCriuIsKilledItIsRestoredAgain) {
  StartAndHold();
  Kill(Notes().criu);
  EXPECT_THAT(restore_->WaitRunning(Soon()),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("exit code 137")));
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

// One that dies just after it has forked: its child has its end of the socket,
// and waits for ever.
TEST_F(HeldRestoreTest, ACriuThatDiesIsMissedAlsoIfItsChildLives) {
  options_.criu = dir_.Join("criu");
  WriteFile(options_.criu, "#!/bin/sh\nsleep 1000 &\nsleep 0.2\nkill -9 $$\n");
  ASSERT_EQ(chmod(options_.criu.c_str(), 0700), 0);
  Start();
  EXPECT_THAT(restore_->WaitHeld(Soon()),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("exit code 137")));
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, WhenCriuAndTheKeeperAreKilledItIsRestoredAgain) {
  StartAndHold();
  KillKeeperAndCriu();
  Adopt();
  EXPECT_EQ(restore_->state(), State::kGone);
  EXPECT_TRUE(restore_->NothingHasRun());
  // They hang in the restorer for ever.
  EXPECT_EQ(RestoredTasks(Notes()).size(), 2u);
  EXPECT_TRUE(AllComeToWait());
  EXPECT_THAT(HeldRestore::Start(directory_, options_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, WhenCriuIsKilledAfterItWasLetGoItIsKnownWhatHasRun) {
  for (bool with_keeper : {true, false}) {
    StartAndHold();
    ASSERT_OK_AND_ASSIGN(PidFd keeper, OpenProcess(*Notes().keeper));
    ASSERT_OK_AND_ASSIGN(PidFd criu, OpenProcess(*Notes().criu));
    ASSERT_OK(restore_->LetGo());
    ASSERT_TRUE(Eventually([this] { return Notes().passed; }));
    // They are on their way, or done.
    if (!with_keeper) (void)keeper.Kill();
    (void)criu.Kill();
    const absl::Status running = restore_->WaitRunning(Soon());
    if (!restore_->NothingHasRun()) {
      EXPECT_THAT(restore_->Abort(Soon()),
                  StatusIs(absl::StatusCode::kFailedPrecondition));
      return;
    }
    EXPECT_THAT(running, StatusIs(absl::StatusCode::kAborted));
    ASSERT_OK(restore_->Abort(Soon()));
    ExpectNothingIsLeft();
  }
}

TEST_F(HeldRestoreTest, ATreeThatHasLostATaskIsNotLetGo) {
  StartAndHold();
  ASSERT_TRUE(Eventually([this] { return Notes().tasks.size() == 2; }));
  Kill(Notes().tasks[1]);
  EXPECT_THAT(restore_->LetGo(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("has died")));
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, ACriuThatWaitsForADeadTaskIsEnded) {
  StartAndHold();
  ASSERT_TRUE(Eventually([this] { return Notes().tasks.size() == 2; }));
  // Just before criu is let go.
  Kill(Notes().tasks[1]);
  ASSERT_OK(RestoreDirectory::Open(directory_)->NoteLetGo());
  ASSERT_OK_AND_ASSIGN(UniqueFd gate,
                       RestoreDirectory::Open(directory_)->OpenGate());
  ASSERT_OK(SendWord(gate.get(), kCommitWord));
  ASSERT_TRUE(Eventually([this] { return Notes().passed; }));
  EXPECT_EQ(restore_->state(), State::kLetGo);
  EXPECT_FALSE(restore_->NothingHasRun());
  EXPECT_THAT(restore_->WaitRunning(absl::Now()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  // Until the others have come as far as they come without it.
  ASSERT_OK_AND_ASSIGN(PidFd root, OpenProcess(Notes().tasks[0]));
  ASSERT_TRUE(Eventually([&root] {
    return PlaceInRestorer(root.pid()) == RestorerPlace::kWaiting;
  }));
  ASSERT_OK(restore_->EndCriu(Soon()));
  EXPECT_EQ(restore_->state(), State::kGone);
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, WhenEverybodyIsKilledWhatIsLeftIsFound) {
  StartAndHold();
  ASSERT_TRUE(Eventually([this] { return Notes().tasks.size() == 2; }));
  KillKeeperAndCriu();
  Kill(Notes().root);
  ReapChildren();
  EXPECT_TRUE(program_.IsThere());
  Adopt();
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

// Criu takes back what it has made.
TEST_F(HeldRestoreTest, WhenTheKeeperIsKilledItIsRestoredAgain) {
  StartAndHold();
  Kill(Notes().keeper);
  Adopt();
  EXPECT_TRUE(restore_->NothingHasRun());
  EXPECT_TRUE(Eventually([this] {
    ReapChildren();
    return restore_->state() == State::kGone && !program_.IsThere();
  }));
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, WhenTheKeeperIsKilledAfterTheWordItRunsAllTheSame) {
  StartAndHold();
  ASSERT_OK_AND_ASSIGN(PidFd keeper, OpenProcess(*Notes().keeper));
  ASSERT_OK(restore_->LetGo());
  ASSERT_TRUE(Eventually([this] { return Notes().resuming; }));
  ASSERT_OK(keeper.Kill());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, WhenTheKeeperIsKilledItIsTakenBackAllTheSame) {
  StartAndHold();
  Kill(Notes().keeper);
  Adopt();
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, AnotherWorkerGoesOnWhateverTheStateIs) {
  Start();
  Adopt();
  EXPECT_THAT(restore_->state(),
              ::testing::AnyOf(State::kStarting, State::kHeld));
  ASSERT_OK(restore_->WaitHeld(Soon()));
  Adopt();
  EXPECT_EQ(restore_->state(), State::kHeld);
  ASSERT_OK(restore_->LetGo());
  Adopt();
  EXPECT_THAT(restore_->state(),
              ::testing::AnyOf(State::kLetGo, State::kRunning));
  ExpectRuns();
  Adopt();
  EXPECT_EQ(restore_->state(), State::kRunning);
  EXPECT_THAT(restore_->Abort(Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(HeldRestoreTest, AWorkerThatDiedBeforeItSaidTheWordLeavesItToTheNext) {
  StartAndHold();
  ASSERT_OK(RestoreDirectory::Open(directory_)->NoteLetGo());
  Adopt();
  EXPECT_EQ(restore_->state(), State::kLetGo);
  EXPECT_FALSE(restore_->NothingHasRun());
  EXPECT_TRUE(program_.HasNotRun());
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, AWordThatIsSaidBeforeTheGateIsOpenIsNotLost) {
  Start();
  ASSERT_OK(restore_->LetGo());
  // Nor does it depend on who has said it.
  Adopt();
  ExpectRuns();
}

TEST_F(HeldRestoreTest, OnlyTheRightWordOpensTheGate) {
  StartAndHold();
  ASSERT_OK_AND_ASSIGN(UniqueFd gate,
                       RestoreDirectory::Open(directory_)->OpenGate());
  ASSERT_OK(SendWord(gate.get(), "commit please\ncommit\n"));
  EXPECT_THAT(restore_->WaitRunning(Soon()),
              StatusIs(absl::StatusCode::kAborted));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, WithoutItsDirectoryItDoesNotRun) {
  StartAndHold();
  ASSERT_OK_AND_ASSIGN(PidFd criu, OpenProcess(*Notes().criu));
  // The last that is written in it.
  ASSERT_TRUE(Eventually([this] { return Notes().tasks.size() == 2; }));
  std::filesystem::remove_all(directory_);
  EXPECT_TRUE(Eventually([this, &criu] {
    ReapChildren();
    return criu.HasExited() && !program_.IsThere();
  }));
  EXPECT_TRUE(program_.HasNotRun());
}

TEST_F(HeldRestoreTest, AnImageThatIsDamagedIsWhatCriuComplainsOf) {
  WriteFile(program_.images() + "/pstree.img", "nonsense");
  Start();
  EXPECT_THAT(restore_->WaitHeld(Soon()),
              StatusIs(absl::StatusCode::kAborted,
                       AllOf(HasSubstr("exit code 1"), HasSubstr("Error ("),
                             HasSubstr(work_ + "/restore.log"))));
  EXPECT_TRUE(restore_->NothingHasRun());
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, ACriuThatIsNotThereIsWhatTheKeeperComplainsOf) {
  options_.criu = dir_.Join("nothing");
  Start();
  EXPECT_THAT(restore_->WaitHeld(Soon()),
              StatusIs(absl::StatusCode::kAborted,
                       HasSubstr("cannot start " + options_.criu)));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, AKeeperThatIsReadyIsTheOneThatRestores) {
  ASSERT_OK(HeldRestore::MakeReady(directory_, options_));
  Adopt();
  EXPECT_EQ(restore_->state(), State::kStarting);
  EXPECT_TRUE(restore_->NothingHasRun());
  EXPECT_TRUE(Eventually([&] { return Notes().keeper.has_value(); }));
  const std::optional<ProcessName> keeper = Notes().keeper;
  Start();
  ASSERT_OK(restore_->WaitHeld(Soon()));
  EXPECT_EQ(Notes().keeper->pid, keeper->pid);
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

// Before it has said who it is.
TEST_F(HeldRestoreTest, AKeeperIsReadyAtOnce) {
  ASSERT_OK(HeldRestore::MakeReady(directory_, options_));
  Start();
  ASSERT_OK(restore_->WaitHeld(Soon()));
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
}

TEST_F(HeldRestoreTest, AKeeperThatIsReadyIsTakenBack) {
  ASSERT_OK(HeldRestore::MakeReady(directory_, options_));
  EXPECT_THAT(HeldRestore::MakeReady(directory_, options_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  Adopt();
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectNothingIsLeft();
  // And another one can be had.
  ASSERT_OK(HeldRestore::MakeReady(directory_, options_));
  StartAndHold();
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

TEST_F(HeldRestoreTest, AKeeperThatIsReadyEndsWithItsDirectory) {
  ASSERT_OK(HeldRestore::MakeReady(directory_, options_));
  EXPECT_TRUE(Eventually([&] { return Notes().keeper.has_value(); }));
  ASSERT_OK_AND_ASSIGN(const PidFd keeper, OpenProcess(*Notes().keeper));
  std::filesystem::remove_all(directory_);
  EXPECT_TRUE(Eventually([&] {
    ReapChildren();
    return keeper.HasExited();
  }));
}

TEST_F(HeldRestoreTest, WhereNothingWasStartedThereIsNothing) {
  Adopt();
  EXPECT_EQ(restore_->state(), State::kGone);
  EXPECT_OK(restore_->Abort(Soon()));
  EXPECT_THAT(restore_->LetGo(), StatusIs(absl::StatusCode::kAborted));
}

TEST_F(HeldRestoreTest, OneDirectoryHasOneRestore) {
  StartAndHold();
  EXPECT_THAT(HeldRestore::Start(directory_, options_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(restore_->LetGo());
  ExpectRuns();
}

}  // namespace
}  // namespace pagelift

int main(int argc, char* argv[]) {
  if (std::optional<int> keeper = pagelift::RunRestoreKeeper(argc, argv)) {
    // At once: a sanitizer starts a process at the end, which looks like a task
    // of the keeper's.
    _exit(*keeper);
  }
  // What the keeper lets go becomes ours, to be ended in the end.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
