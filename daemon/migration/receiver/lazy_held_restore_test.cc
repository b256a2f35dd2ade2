// A restore that is held and let go or taken back, with a real pageliftd that
// serves it.

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/receiver/held_restore.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restore_keeper.h"
#include "daemon/migration/receiver/restore_situation.h"
#include "daemon/migration/receiver/restored_processes.h"
#include "daemon/migration/receiver/restorer_wait.h"
#include "daemon/migration/receiver/testing/dumped_program.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/process/child_program.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"
#include "pagelift/v1/control.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

class LazyHeldRestoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string socket = dir_.Join("s");
    absl::StatusOr<ChildProgram> daemon =
        ChildProgram::Start({{"daemon/pager/pageliftd", "--control", socket},
                             {},
                             dir_.Join("log")});
    ASSERT_OK(daemon);
    daemon_.emplace(*std::move(daemon));
    control_ = v1::Control::NewStub(grpc::CreateChannel(
        absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials()));
    restore_options_.criu = program_.criu();
    restore_options_.images = program_.images();
  }
  void TearDown() override {
    restore_.reset();
    if (daemon_.has_value()) {
      kill(daemon_->pid(), SIGTERM);
      EXPECT_THAT(daemon_->Wait(), IsOkAndHolds(0));
    }
    if (HasFailure()) std::cerr << ReadFile(dir_.Join("log")).value_or("");
  }

  static absl::Time Soon() { return absl::Now() + kSoon; }
  // A session of its own, and a restore that is held.
  void StartAndHold(const std::string& name) {
    restore_options_.work_dir = dir_.Join(name);
    ASSERT_EQ(mkdir(restore_options_.work_dir.c_str(), 0700), 0);
    v1::OpenSessionRequest request;
    request.set_source(absl::StrCat("criu:", program_.images()));
    request.set_work_dir(restore_options_.work_dir);
    // So that it lacks memory as long as nobody touches it.
    request.set_prefetch("off");
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Soon()));
    context.set_wait_for_ready(true);
    v1::OpenSessionResponse opened;
    const grpc::Status status =
        control_->OpenSession(&context, request, &opened);
    ASSERT_TRUE(status.ok()) << status.error_message();
    session_ = opened.session();
    absl::StatusOr<HeldRestore> restore =
        HeldRestore::Start(dir_.Join("restore"), restore_options_);
    ASSERT_OK(restore);
    restore_.emplace(*std::move(restore));
    ASSERT_OK(restore_->WaitHeld(Soon()));
  }
  v1::SessionStatus Session() {
    v1::ListSessionsRequest request;
    request.set_session(session_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Soon()));
    v1::ListSessionsResponse response;
    control_->ListSessions(&context, request, &response);
    return response.sessions_size() == 1 ? response.sessions(0)
                                         : v1::SessionStatus();
  }
  void Tune(const std::string& prefetch) {
    v1::TuneSessionRequest request;
    request.set_session(session_);
    request.set_prefetch(prefetch);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Soon()));
    v1::TuneSessionResponse response;
    EXPECT_TRUE(control_->TuneSession(&context, request, &response).ok());
  }
  // That either of the daemon's processes holds.
  int UserfaultFds() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(Soon()));
    v1::DaemonStatus status;
    EXPECT_TRUE(control_->GetDaemon(&context, {}, &status).ok());
    int count = 0;
    for (int pid : {status.holder_pid(), status.worker_pid()}) {
      for (const auto& entry : std::filesystem::directory_iterator(
               absl::StrCat("/proc/", pid, "/fd"))) {
        std::error_code closed;
        const auto target = std::filesystem::read_symlink(entry, closed);
        if (absl::StrContains(target.string(), "userfaultfd")) ++count;
      }
    }
    return count;
  }
  RestoreNotes Notes() const {
    return RestoreDirectory::Open(dir_.Join("restore"))->Read();
  }
  void ExpectTheSessionIsReleased() {
    EXPECT_TRUE(Eventually([this] { return Session().state() == "failed"; }));
    EXPECT_EQ(Session().pages_lost(), 0u);
    EXPECT_EQ(UserfaultFds(), 0);
  }
  void LetGoAndExpectRuns() {
    ASSERT_OK(restore_->LetGo());
    ASSERT_OK(restore_->WaitRunning(Soon()));
    EXPECT_TRUE(program_.Runs());
    Tune("full");
    EXPECT_TRUE(Eventually([this] { return Session().state() == "complete"; }));
    EXPECT_EQ(UserfaultFds(), 0);
    EXPECT_TRUE(program_.Runs());
  }

  DumpedProgram program_;
  TempDir dir_;
  std::optional<ChildProgram> daemon_;
  std::unique_ptr<v1::Control::Stub> control_;
  std::string session_;
  HeldRestore::Options restore_options_;
  std::optional<HeldRestore> restore_;
};

TEST_F(LazyHeldRestoreTest, WhatIsHeldIsServedAndRunsWhenItIsLetGo) {
  StartAndHold("work");
  EXPECT_TRUE(restore_->NothingHasRun());
  EXPECT_EQ(Session().state(), "serving");
  EXPECT_GT(Session().pages_missing(), 0u);
  LetGoAndExpectRuns();
}

TEST_F(LazyHeldRestoreTest, WhenItIsTakenBackItsSessionEnds) {
  StartAndHold("work");
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectTheSessionIsReleased();
  StartAndHold("another");
  LetGoAndExpectRuns();
}

TEST_F(LazyHeldRestoreTest, WhenTasksThatHangForEverAreKilledItsSessionEnds) {
  StartAndHold("work");
  // At once: neither has the time to do anything about the other's death.
  ASSERT_OK_AND_ASSIGN(PidFd keeper, OpenProcess(*Notes().keeper));
  ASSERT_OK_AND_ASSIGN(PidFd criu, OpenProcess(*Notes().criu));
  ASSERT_OK(keeper.Signal(SIGSTOP));
  ASSERT_OK(criu.Kill());
  ASSERT_TRUE(Eventually([&criu] { return criu.HasExited(); }));
  ASSERT_OK(keeper.Kill());
  ASSERT_TRUE(Eventually([&keeper] { return keeper.HasExited(); }));
  EXPECT_TRUE(restore_->NothingHasRun());
  EXPECT_THAT(RestoredTasks(Notes()), Not(IsEmpty()));
  EXPECT_TRUE(Eventually([this] {
    return PlaceInRestorer(RestoredTasks(Notes())) == RestorerPlace::kWaiting;
  }));
  EXPECT_GT(UserfaultFds(), 0);
  ASSERT_OK(restore_->Abort(Soon()));
  ExpectTheSessionIsReleased();
  StartAndHold("another");
  LetGoAndExpectRuns();
}

}  // namespace
}  // namespace pagelift

int main(int argc, char* argv[]) {
  if (std::optional<int> keeper = pagelift::RunRestoreKeeper(argc, argv)) {
    // At once: a sanitizer starts a process at the end, which looks like a task
    // of the keeper's.
    _exit(*keeper);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
