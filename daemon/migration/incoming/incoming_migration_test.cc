#include "daemon/migration/incoming/incoming_migration.h"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool Never() { return false; }

// What a test wants of it, and what was done. Outlives those that it is given
// to, as the processes of a restore outlive a worker.
struct Host {
  absl::Mutex mu;
  std::vector<std::string> done;
  std::vector<std::string> ahead;            // Of what only makes it quicker.
  std::deque<absl::Status> restore_results;  // OK when there is none.
  std::deque<absl::Status> let_go_results;
  RestoreFound there = RestoreFound::kNothing;
  bool lost = false;
  std::function<void()> when_let_go = [] {};
  std::atomic<bool> restore_hangs{false};
  std::string last_page_server;

  std::vector<std::string> Done() {
    absl::MutexLock lock(&mu);
    return done;
  }
  std::vector<std::string> Ahead() {
    absl::MutexLock lock(&mu);
    return ahead;
  }
};

class FakeWork : public RestoreWork {
 public:
  explicit FakeWork(Host& host) : host_(host) {}

  absl::Status Restore(const v1::RestoreRequest& request,
                       const std::atomic<bool>& is_cancelled) override {
    if (host_.restore_hangs) {
      while (!is_cancelled) std::this_thread::yield();
      return absl::CancelledError("");
    }
    absl::MutexLock lock(&host_.mu);
    host_.done.push_back("restore");
    host_.last_page_server = request.page_server();
    const absl::Status status = Next(host_.restore_results);
    host_.there = status.ok() ? RestoreFound::kHeld : RestoreFound::kNoneHasRun;
    return status;
  }
  absl::Status LetGo() override {
    absl::MutexLock lock(&host_.mu);
    host_.done.push_back("let go");
    host_.when_let_go();
    const absl::Status status = Next(host_.let_go_results);
    if (status.ok()) host_.there = RestoreFound::kRuns;
    return status;
  }
  absl::StatusOr<RestoreFound> Look() override {
    absl::MutexLock lock(&host_.mu);
    host_.lost = false;
    return host_.there;
  }
  absl::Status CleanUp() override {
    absl::MutexLock lock(&host_.mu);
    host_.done.push_back("clean up");
    host_.there = RestoreFound::kNothing;
    return absl::OkStatus();
  }
  absl::Status GetReady() override {
    absl::MutexLock lock(&host_.mu);
    host_.ahead.push_back("ready");
    return absl::OkStatus();
  }
  absl::Status Expect(const v1::RestoreRequest& request) override {
    absl::MutexLock lock(&host_.mu);
    host_.ahead.push_back(request.image());
    return absl::OkStatus();
  }
  absl::Status Forget() override {
    absl::MutexLock lock(&host_.mu);
    host_.done.push_back("forget");
    return absl::OkStatus();
  }
  bool MayBeLost() override {
    absl::MutexLock lock(&host_.mu);
    return host_.lost;
  }
  void Describe(v1::GetMigrationResponse* response) override {
    response->set_session_state("serving");
  }

 private:
  static absl::Status Next(std::deque<absl::Status>& results) {
    if (results.empty()) return absl::OkStatus();
    absl::Status status = results.front();
    results.pop_front();
    return status;
  }
  Host& host_;
};

class IncomingMigrationTest : public ::testing::Test {
 protected:
  IncomingMigrationTest() { Start(); }

  void Start() {
    auto opened =
        IncomingMigration::Open(dir_.path(), std::make_unique<FakeWork>(host_));
    ASSERT_OK(opened.status());
    migration_ = *std::move(opened);
  }
  // As a worker that dies and its successor.
  void Restart() {
    migration_.reset();
    Start();
  }
  absl::Status Restore() {
    v1::RestoreRequest request;
    request.set_page_server("10.0.0.1:7");
    return migration_->Restore(request, Never);
  }
  void BringToHeld() {
    ASSERT_OK(migration_->Prepare(Never));
    ASSERT_OK(migration_->MayShip());
    ASSERT_OK(Restore());
  }

  TempDir dir_;
  Host host_;
  std::unique_ptr<IncomingMigration> migration_;
};

TEST_F(IncomingMigrationTest, WhatCanBeDoneAheadIs) {
  ASSERT_OK(migration_->Prepare(Never));
  v1::RestoreRequest request;
  request.set_image("image");
  migration_->Expect(request);
  EXPECT_TRUE(Eventually([&] { return host_.Ahead().size() == 2; }));
  EXPECT_THAT(host_.Ahead(), ElementsAre("ready", "image"));
  ASSERT_OK(Restore());
  // Now it would only be in the way.
  migration_->Expect(request);
  ASSERT_OK(migration_->Commit(Never));
  EXPECT_THAT(host_.Ahead(), ElementsAre("ready", "image"));
}

TEST_F(IncomingMigrationTest, NothingIsDoneAheadOfWhatWasAborted) {
  ASSERT_OK(migration_->Abort("no", Never));
  migration_->Expect(v1::RestoreRequest());
  EXPECT_TRUE(Eventually([&] { return !host_.Done().empty(); }));
  EXPECT_THAT(host_.Done(), ElementsAre("forget"));
  EXPECT_THAT(host_.Ahead(), IsEmpty());
}

TEST_F(IncomingMigrationTest, GoesAllTheWay) {
  BringToHeld();
  EXPECT_EQ(migration_->Describe().state(), "held");
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_EQ(migration_->Describe().state(), "running");
  EXPECT_OK(migration_->Release(Never));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go", "forget"));
  EXPECT_EQ(migration_->Describe().state(), "released");
}

// So that it does not stand still for a disk.
TEST_F(IncomingMigrationTest,
       WhoCommitsIsAnsweredWhenItRunsNotWhenThatIsWritten) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  BringToHeld();
  {
    absl::MutexLock lock(&host_.mu);
    host_.when_let_go = [before] {
      rlimit none = before;
      none.rlim_cur = 0;
      EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    };
  }
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_EQ(migration_->Describe().state(), "running");
  EXPECT_EQ(migration_->recorded(), DestinationRecorded::kResuming);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(Eventually(
      [&] { return migration_->recorded() == DestinationRecorded::kRunning; }));
}

TEST_F(IncomingMigrationTest, WhatIsAskedTwiceIsDoneOnce) {
  BringToHeld();
  EXPECT_OK(migration_->Prepare(Never));
  EXPECT_OK(Restore());
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_OK(migration_->Release(Never));
  EXPECT_OK(migration_->Release(Never));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go", "forget"));
}

TEST_F(IncomingMigrationTest, ARestoreThatFailsIsToldAndMayBeTriedAgain) {
  ASSERT_OK(migration_->Prepare(Never));
  host_.restore_results = {absl::AbortedError("criu: no such file")};
  EXPECT_THAT(Restore(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("no such file")));
  EXPECT_OK(Restore());
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "clean up", "restore"));
}

TEST_F(IncomingMigrationTest, AfterAnAbortNothingOfItStartsAnyMore) {
  ASSERT_OK(migration_->Abort("changed his mind", Never));
  EXPECT_THAT(migration_->Prepare(Never),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("changed his mind")));
  Restart();
  EXPECT_THAT(migration_->Prepare(Never),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("changed his mind")));
  EXPECT_OK(migration_->Abort("again", Never));
}

TEST_F(IncomingMigrationTest, AnAbortKillsWhatIsHeld) {
  BringToHeld();
  EXPECT_OK(migration_->Abort("", Never));
  // Its images are of no use any more.
  EXPECT_TRUE(Eventually([&] { return host_.Done().size() == 3; }));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "clean up", "forget"));
  EXPECT_THAT(migration_->Commit(Never),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(IncomingMigrationTest, WhatWasCommittedIsNotAborted) {
  BringToHeld();
  ASSERT_OK(migration_->Commit(Never));
  EXPECT_THAT(migration_->Abort("", Never),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go"));
}

TEST_F(IncomingMigrationTest, OneThatDiesWhileItIsHeldGoesOn) {
  BringToHeld();
  Restart();
  EXPECT_EQ(migration_->recorded(), DestinationRecorded::kHeld);
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go"));
}

TEST_F(IncomingMigrationTest, WhatIsHeldAndLostIsRestoredAgain) {
  BringToHeld();
  {
    absl::MutexLock lock(&host_.mu);
    host_.there = RestoreFound::kNoneHasRun;
    host_.lost = true;
  }
  EXPECT_TRUE(Eventually([&] { return host_.Done().size() == 3; }));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "clean up", "restore"));
  EXPECT_EQ(host_.last_page_server, "10.0.0.1:7");
  EXPECT_OK(migration_->Commit(Never));
}

TEST_F(IncomingMigrationTest, WhatCannotBeLetGoIsRestoredAgainIfNoneHasRun) {
  BringToHeld();
  {
    absl::MutexLock lock(&host_.mu);
    host_.let_go_results = {absl::UnavailableError("criu died")};
    host_.there = RestoreFound::kNoneHasRun;
  }
  EXPECT_OK(migration_->Commit(Never));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go", "clean up",
                                        "restore", "let go"));
}

TEST_F(IncomingMigrationTest, WhatMayHaveRunIsNotStartedAgain) {
  BringToHeld();
  {
    absl::MutexLock lock(&host_.mu);
    host_.let_go_results = {absl::UnavailableError("criu died")};
    host_.there = RestoreFound::kNothing;
  }
  EXPECT_THAT(migration_->Commit(Never),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("nobody can tell")));
  EXPECT_THAT(host_.Done(), ElementsAre("restore", "let go"));
}

TEST_F(IncomingMigrationTest, ACallerWhoGivesUpChangesNothing) {
  ASSERT_OK(migration_->Prepare(Never));
  v1::RestoreRequest request;
  EXPECT_THAT(migration_->Restore(request, [] { return true; }),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_OK(Restore());
  EXPECT_THAT(host_.Done(), ElementsAre("restore"));
}

TEST_F(IncomingMigrationTest, AnAbortBreaksOffARestoreThatComesToNoEnd) {
  ASSERT_OK(migration_->Prepare(Never));
  host_.restore_hangs = true;
  std::thread restoring([this] {
    EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kFailedPrecondition));
  });
  while (migration_->Describe().state() != "restoring") {
    std::this_thread::yield();
  }
  EXPECT_OK(migration_->Abort("the source is gone", Never));
  restoring.join();
  EXPECT_EQ(migration_->recorded(), DestinationRecorded::kAborted);
}

}  // namespace
}  // namespace pagelift
