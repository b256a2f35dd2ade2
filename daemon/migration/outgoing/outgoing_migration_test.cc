#include "daemon/migration/outgoing/outgoing_migration.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/migration/record_file.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Step = SourceStep;

// What a test wants, and what was done.
struct Host {
  absl::Mutex mu;
  std::vector<Step> done;
  std::map<Step, absl::Status> fails;  // Once.
  Step stops_at = Step::kNothing;      // Until it is cancelled.
  bool cancelled = false;
  absl::Notification has_stopped;

  std::vector<Step> Done() {
    absl::MutexLock lock(&mu);
    return done;
  }
};

class FakeWork : public SourceWork {
 public:
  explicit FakeWork(Host& host) : host_(host) {}
  absl::Status Do(Step step) override {
    absl::MutexLock lock(&host_.mu);
    host_.done.push_back(step);
    if (step == host_.stops_at) {
      host_.has_stopped.Notify();
      host_.mu.Await(absl::Condition(&host_.cancelled));
      return absl::CancelledError("cancelled");
    }
    const auto fails = host_.fails.find(step);
    if (fails == host_.fails.end()) return absl::OkStatus();
    absl::Status status = fails->second;
    host_.fails.erase(fails);
    return status;
  }
  void Cancel() override {
    absl::MutexLock lock(&host_.mu);
    host_.cancelled = true;
  }
  void AddTo(v1::SourceRecord* record) override {
    record->set_listens_on("10.0.0.1:7");
  }
  void Describe(v1::MigrationProgress* progress) override {
    progress->set_pages_total(17);
    progress->set_pages_spooled(17);
  }

 private:
  Host& host_;
};

class OutgoingMigrationTest : public ::testing::Test {
 protected:
  void Start() {
    auto opened = OutgoingMigration::Open("id", dir_.path(),
                                          std::make_unique<FakeWork>(host_));
    ASSERT_OK(opened.status());
    migration_ = *std::move(opened);
  }
  void RunToItsEnd() {
    Start();
    ASSERT_TRUE(migration_->WaitUntilDone(kSoon));
  }
  v1::SourceRecord Record() {
    const auto record = ReadRecord<v1::SourceRecord>(dir_.path(), "record");
    return record.ok() ? record->value_or(v1::SourceRecord())
                       : v1::SourceRecord();
  }
  void Recorded(SourceRecorded recorded) {
    v1::SourceRecord record;
    record.set_state(ToString(recorded));
    ASSERT_OK(WriteRecord(dir_.path(), "record", record));
  }

  TempDir dir_;
  Host host_;
  std::unique_ptr<OutgoingMigration> migration_;
};

TEST_F(OutgoingMigrationTest, GoesAllTheWay) {
  RunToItsEnd();
  EXPECT_THAT(host_.Done(),
              ElementsAre(Step::kPrepare, Step::kPark, Step::kShip,
                          Step::kRestore, Step::kFence, Step::kCommit,
                          Step::kSpool, Step::kAwaitDrained, Step::kRelease));
  EXPECT_EQ(Record().state(), "released");
  EXPECT_EQ(Record().listens_on(), "10.0.0.1:7");
  const v1::MigrationProgress progress = migration_->Describe();
  EXPECT_EQ(progress.state(), "released");
  EXPECT_TRUE(progress.spooled());
  EXPECT_EQ(progress.pages_total(), 17u);
  EXPECT_EQ(progress.phases_size(), 13);
}

TEST_F(OutgoingMigrationTest, WhatFailsBeforeTheCommitPointKeepsItHere) {
  host_.fails[Step::kRestore] = absl::AbortedError("criu: no such file");
  RunToItsEnd();
  EXPECT_THAT(host_.Done(),
              ElementsAre(Step::kPrepare, Step::kPark, Step::kShip,
                          Step::kRestore, Step::kLetGo, Step::kAbortThere));
  EXPECT_EQ(Record().state(), "aborted");
  EXPECT_THAT(migration_->Describe().reason(), HasSubstr("no such file"));
}

TEST_F(OutgoingMigrationTest, WhatFailsAfterItIsTriedAgain) {
  host_.fails[Step::kCommit] = absl::UnavailableError("no answer");
  host_.fails[Step::kSpool] = absl::ResourceExhaustedError("no room");
  RunToItsEnd();
  EXPECT_THAT(
      host_.Done(),
      ElementsAre(Step::kPrepare, Step::kPark, Step::kShip, Step::kRestore,
                  Step::kFence, Step::kCommit, Step::kCommit, Step::kSpool,
                  Step::kSpool, Step::kAwaitDrained, Step::kRelease));
  EXPECT_EQ(Record().state(), "released");
}

TEST_F(OutgoingMigrationTest, SomebodyMayWantItToStay) {
  host_.stops_at = Step::kShip;
  Start();
  host_.has_stopped.WaitForNotification();
  EXPECT_OK(migration_->Abort("changed his mind"));
  EXPECT_OK(migration_->Abort("again"));
  ASSERT_TRUE(migration_->WaitUntilDone(kSoon));
  EXPECT_THAT(host_.Done(),
              ElementsAre(Step::kPrepare, Step::kPark, Step::kShip,
                          Step::kLetGo, Step::kAbortThere));
  EXPECT_EQ(Record().reason(), "changed his mind");
}

TEST_F(OutgoingMigrationTest, ButNotAfterTheCommitPoint) {
  host_.stops_at = Step::kCommit;
  Start();
  host_.has_stopped.WaitForNotification();
  EXPECT_EQ(Record().state(), "committed");
  EXPECT_THAT(migration_->Abort("too late"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(OutgoingMigrationTest, OneThatDiedBeforeTheCommitPointAborts) {
  Recorded(SourceRecorded::kPlanned);
  RunToItsEnd();
  EXPECT_THAT(host_.Done(), ElementsAre(Step::kLetGo, Step::kAbortThere));
  EXPECT_THAT(migration_->Describe().reason(), HasSubstr("was killed"));
}

TEST_F(OutgoingMigrationTest, OneThatDiedAfterItGoesOn) {
  Recorded(SourceRecorded::kCommitted);
  RunToItsEnd();
  EXPECT_THAT(host_.Done(), ElementsAre(Step::kCommit, Step::kSpool,
                                        Step::kAwaitDrained, Step::kRelease));
}

TEST_F(OutgoingMigrationTest, TheDestinationIsToldUntilItHears) {
  host_.fails[Step::kPrepare] = absl::UnavailableError("no such host");
  host_.fails[Step::kAbortThere] = absl::UnavailableError("no such host");
  RunToItsEnd();
  EXPECT_THAT(host_.Done(), ElementsAre(Step::kPrepare, Step::kLetGo,
                                        Step::kAbortThere, Step::kAbortThere));
  EXPECT_EQ(Record().state(), "aborted");
}

TEST_F(OutgoingMigrationTest, ItRunsHereAlsoIfNobodyHearsOfThat) {
  host_.fails[Step::kPrepare] = absl::UnavailableError("no such host");
  host_.stops_at = Step::kAbortThere;
  Start();
  host_.has_stopped.WaitForNotification();
  EXPECT_TRUE(migration_->Describe().runs_here());
  EXPECT_EQ(migration_->Describe().state(), "aborting");
}

TEST_F(OutgoingMigrationTest, ARecordOfAnotherVersionIsLeftAlone) {
  v1::SourceRecord record;
  record.set_state("beamed");
  ASSERT_OK(WriteRecord(dir_.path(), "record", record));
  EXPECT_THAT(OutgoingMigration::Open("id", dir_.path(),
                                      std::make_unique<FakeWork>(host_))
                  .status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("beamed")));
}

}  // namespace
}  // namespace pagelift
