#include "daemon/migration/outgoing/outgoing_migration.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/thread_name.h"
#include "lib/migration/record_file.h"

namespace pagelift {
namespace {

constexpr char kRecordName[] = "record";
// Before what failed is tried again: twice as long each time.
constexpr absl::Duration kFirstPause = absl::Milliseconds(20);
constexpr absl::Duration kLongestPause = absl::Seconds(2);

std::optional<SourceRecorded> RecordedBy(SourceStep step) {
  switch (step) {
    case SourceStep::kRecordCommitted:
      return SourceRecorded::kCommitted;
    case SourceStep::kRecordResumed:
      return SourceRecorded::kResumed;
    case SourceStep::kRecordSpooled:
      return SourceRecorded::kSpooled;
    case SourceStep::kRecordReleased:
      return SourceRecorded::kReleased;
    case SourceStep::kRecordAborted:
      return SourceRecorded::kAborted;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutgoingMigration>> OutgoingMigration::Open(
    std::string id, std::string directory, std::unique_ptr<SourceWork> work) {
  ASSIGN_OR_RETURN(std::optional<v1::SourceRecord> record,
                   ReadRecord<v1::SourceRecord>(directory, kRecordName));
  SourceProtocol protocol = SourceProtocol::Begin();
  if (record.has_value()) {
    const std::optional<SourceRecorded> recorded =
        ParseSourceRecorded(record->state());
    if (!recorded.has_value()) {
      return absl::DataLossError(absl::StrCat(
          directory, "/", kRecordName, " is of a state that is not known, \"",
          record->state(), "\": of a later version?"));
    }
    protocol = SourceProtocol::GoOn(*recorded);
    if (*recorded == SourceRecorded::kPlanned) {
      record->set_reason("the server of the migration was killed");
    }
  } else {
    record.emplace().set_state(ToString(SourceRecorded::kPlanned));
    RETURN_IF_ERROR(WriteRecord(directory, kRecordName, *record));
  }
  return std::unique_ptr<OutgoingMigration>(
      new OutgoingMigration(std::move(id), std::move(directory),
                            std::move(work), *std::move(record), protocol));
}

OutgoingMigration::OutgoingMigration(std::string id, std::string directory,
                                     std::unique_ptr<SourceWork> work,
                                     v1::SourceRecord record,
                                     SourceProtocol protocol)
    : id_(std::move(id)),
      directory_(std::move(directory)),
      work_(std::move(work)),
      begun_(absl::Now()),
      protocol_(protocol),
      record_(std::move(record)),
      thread_([this] { Run(); }) {}

OutgoingMigration::~OutgoingMigration() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  // Again and again: a step may just be about to begin.
  while (true) {
    work_->Cancel();
    absl::MutexLock lock(&mu_);
    if (ended_) break;
    changed_.WaitWithTimeout(&mu_, kFirstPause);
  }
  thread_.join();
}

absl::Status OutgoingMigration::Abort(const std::string& reason) {
  {
    absl::MutexLock lock(&mu_);
    const bool was_aborted = protocol_.aborted();
    if (!protocol_.AskToAbort()) {
      return absl::FailedPreconditionError(
          "it is past the commit point: the process runs at the destination, "
          "or will");
    }
    if (was_aborted) return absl::OkStatus();
    record_.set_reason(reason);
    changed_.SignalAll();
  }
  work_->Cancel();
  return absl::OkStatus();
}

bool OutgoingMigration::IsDone() const {
  return protocol_.next() == SourceStep::kNothing;
}

bool OutgoingMigration::WaitUntilDone(absl::Duration patience) {
  const absl::Time until = absl::Now() + patience;
  absl::MutexLock lock(&mu_);
  while (!IsDone() && absl::Now() < until) {
    changed_.WaitWithDeadline(&mu_, until);
  }
  return IsDone();
}

v1::MigrationProgress OutgoingMigration::Describe() {
  v1::MigrationProgress progress;
  work_->Describe(&progress);
  absl::MutexLock lock(&mu_);
  progress.set_id(id_);
  progress.set_state(IsDone() ? record_.state() : ToString(protocol_.next()));
  progress.set_reason(record_.reason());
  if (failures_in_a_row_ > 0) {
    progress.set_trouble(std::string(last_failure_.message()));
  }
  progress.set_age_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(absl::Now() - begun_)));
  progress.set_downtime_ms(
      record_.downtime_ms() > 0
          ? record_.downtime_ms()
          : static_cast<uint64_t>(absl::ToInt64Milliseconds(Downtime())));
  progress.set_spooled(
      progress.pages_total() > 0 &&
      progress.pages_spooled() == progress.pages_total() &&
      (record_.state() == "spooled" || record_.state() == "released"));
  progress.set_runs_here(RunsHereForGood());
  for (const Phase& phase : phases_) {
    v1::MigrationProgress::Phase* told = progress.add_phases();
    told->set_name(phase.name);
    told->set_micros(
        static_cast<uint64_t>(absl::ToInt64Microseconds(phase.took)));
  }
  return progress;
}

bool OutgoingMigration::RunsHereForGood() const {
  return protocol_.aborted() && (protocol_.next() == SourceStep::kAbortThere ||
                                 protocol_.next() == SourceStep::kNothing);
}

absl::Duration OutgoingMigration::Downtime() const {
  const absl::Time until = std::min(running_, absl::Now());
  return std::max(absl::ZeroDuration(), until - frozen_);
}

// --- The thread --------------------------------------------------------------

void OutgoingMigration::Run() {
  NameThisThread("pl-outgoing");
  absl::MutexLock lock(&mu_);
  while (!stopping_ && !IsDone()) DoStep(protocol_.next());
  ended_ = true;
  changed_.SignalAll();
}

void OutgoingMigration::DoStep(SourceStep step) {
  const absl::Time start = absl::Now();
  if (step == SourceStep::kPark) frozen_ = start;
  absl::Status status;
  if (const std::optional<SourceRecorded> recorded = RecordedBy(step)) {
    // Nobody else decides meanwhile.
    status = Record(*recorded);
  } else {
    mu_.Unlock();
    status = work_->Do(step);
    mu_.Lock();
  }
  const absl::Time end = absl::Now();
  if (stopping_) return;
  if (status.ok()) {
    const bool ran_again =
        step == SourceStep::kCommit || step == SourceStep::kLetGo;
    if (ran_again) running_ = std::min(running_, end);
    protocol_.Done(step);
    failures_in_a_row_ = 0;
    phases_.push_back({ToString(step), end - start});
    LOG(Info) << "migration " << id_ << ": " << ToString(step) << ": done";
    changed_.SignalAll();
    return;
  }
  LOG(Warning) << "migration " << id_ << ": " << ToString(step) << ": "
               << status.message();
  const bool was_aborted = protocol_.aborted();
  protocol_.Failed(step);
  if (protocol_.aborted() && !was_aborted) {
    record_.set_reason(std::string(status.message()));
  }
  last_failure_ = status;
  ++failures_in_a_row_;
  changed_.SignalAll();
  const absl::Time until =
      end + std::min(kLongestPause,
                     kFirstPause * (1 << std::min(failures_in_a_row_, 10)));
  while (!stopping_ && protocol_.next() == step && absl::Now() < until) {
    changed_.WaitWithDeadline(&mu_, until);
  }
}

absl::Status OutgoingMigration::Record(SourceRecorded recorded) {
  v1::SourceRecord record = record_;
  record.set_state(ToString(recorded));
  if (running_ != absl::InfiniteFuture()) {
    record.set_downtime_ms(
        static_cast<uint64_t>(absl::ToInt64Milliseconds(Downtime())));
  }
  work_->AddTo(&record);
  absl::Status status = WriteRecord(directory_, kRecordName, record);
  if (!status.ok()) {
    // It may have got there nevertheless, and then it counts.
    const auto found = ReadRecord<v1::SourceRecord>(directory_, kRecordName);
    const bool is_there =
        found.ok() && found->has_value() && (*found)->state() == record.state();
    if (!is_there) return status;
    LOG(Warning) << "migration " << id_ << ": " << status.message();
  }
  record_ = std::move(record);
  return absl::OkStatus();
}

}  // namespace pagelift
