#include "daemon/migration/incoming/incoming_migration.h"

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
// How often a caller is asked whether he still waits, and what is held is
// looked at.
constexpr absl::Duration kLook = absl::Milliseconds(100);
// Before what failed is tried again: twice as long each time.
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

std::optional<DestinationRecorded> RecordedBy(DestinationStep step) {
  switch (step) {
    case DestinationStep::kRecordPrepared:
      return DestinationRecorded::kPrepared;
    case DestinationStep::kRecordHeld:
      return DestinationRecorded::kHeld;
    case DestinationStep::kRecordCommitted:
      return DestinationRecorded::kCommitted;
    case DestinationStep::kRecordResuming:
      return DestinationRecorded::kResuming;
    case DestinationStep::kRecordRunning:
      return DestinationRecorded::kRunning;
    case DestinationStep::kRecordReleased:
      return DestinationRecorded::kReleased;
    case DestinationStep::kRecordAborted:
      return DestinationRecorded::kAborted;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<IncomingMigration>> IncomingMigration::Open(
    std::string directory, std::unique_ptr<RestoreWork> work) {
  ASSIGN_OR_RETURN(std::optional<v1::DestinationRecord> record,
                   ReadRecord<v1::DestinationRecord>(directory, kRecordName));
  DestinationRecorded recorded = DestinationRecorded::kUnknown;
  if (record.has_value()) {
    const std::optional<DestinationRecorded> parsed =
        ParseDestinationRecorded(record->state());
    if (!parsed.has_value()) {
      return absl::DataLossError(absl::StrCat(
          directory, "/", kRecordName, " is of a state that is not known, \"",
          record->state(), "\": of a later version?"));
    }
    recorded = *parsed;
  }
  return std::unique_ptr<IncomingMigration>(new IncomingMigration(
      std::move(directory), std::move(work),
      std::move(record).value_or(v1::DestinationRecord()), recorded));
}

IncomingMigration::IncomingMigration(std::string directory,
                                     std::unique_ptr<RestoreWork> work,
                                     v1::DestinationRecord record,
                                     DestinationRecorded recorded)
    : directory_(std::move(directory)),
      work_(std::move(work)),
      protocol_(recorded),
      record_(std::move(record)),
      thread_([this] { Run(); }) {}

IncomingMigration::~IncomingMigration() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    is_cancelled_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

// --- Requests ----------------------------------------------------------------

absl::Status IncomingMigration::Prepare(const IsCancelled& is_cancelled) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Ask(MigrationRequest::kPrepare, is_cancelled));
  // The process stands still from when we have answered.
  while (protocol_.recorded() == DestinationRecorded::kPrepared && !is_ready_ &&
         !stopping_ && !is_cancelled()) {
    changed_.WaitWithTimeout(&mu_, kLook);
  }
  return absl::OkStatus();
}

absl::Status IncomingMigration::MayShip() {
  absl::MutexLock lock(&mu_);
  return protocol_.On(MigrationRequest::kShip) == RequestFate::kDone
             ? absl::OkStatus()
             : Refusal();
}

absl::Status IncomingMigration::Publish(
    absl::FunctionRef<absl::Status()> publish) {
  absl::MutexLock lock(&mu_);
  return protocol_.On(MigrationRequest::kShip) == RequestFate::kDone
             ? publish()
             : Refusal();
}

void IncomingMigration::Expect(const v1::RestoreRequest& request) {
  absl::MutexLock lock(&mu_);
  expected_ = request;
  changed_.SignalAll();
}

absl::Status IncomingMigration::Restore(const v1::RestoreRequest& request,
                                        const IsCancelled& is_cancelled) {
  absl::MutexLock lock(&mu_);
  // What is recorded when it is held, and restored by again if that is lost.
  if (protocol_.recorded() == DestinationRecorded::kPrepared) {
    record_.set_restore_request(request.SerializeAsString());
  }
  return Ask(MigrationRequest::kRestore, is_cancelled);
}

absl::Status IncomingMigration::Commit(const IsCancelled& is_cancelled) {
  absl::MutexLock lock(&mu_);
  return Ask(MigrationRequest::kCommit, is_cancelled);
}

absl::Status IncomingMigration::Abort(const std::string& reason,
                                      const IsCancelled& is_cancelled) {
  absl::MutexLock lock(&mu_);
  if (protocol_.recorded() < DestinationRecorded::kCommitted) {
    record_.set_reason(reason);
  }
  return Ask(MigrationRequest::kAbort, is_cancelled);
}

absl::Status IncomingMigration::Release(const IsCancelled& is_cancelled) {
  absl::MutexLock lock(&mu_);
  return Ask(MigrationRequest::kRelease, is_cancelled);
}

absl::Status IncomingMigration::Ask(MigrationRequest request,
                                    const IsCancelled& is_cancelled) {
  ++asking_;
  absl::Status answer = WaitFor(request, is_cancelled);
  --asking_;
  changed_.SignalAll();
  return answer;
}

absl::Status IncomingMigration::WaitFor(MigrationRequest request,
                                        const IsCancelled& is_cancelled) {
  const int failures = failures_;
  RequestFate fate = protocol_.On(request);
  if (request == MigrationRequest::kAbort && fate == RequestFate::kWait) {
    is_cancelled_ = true;
  }
  changed_.SignalAll();
  while (fate == RequestFate::kWait) {
    if (stopping_ || is_cancelled()) {
      return absl::UnavailableError("it goes on, and can be asked for again");
    }
    changed_.WaitWithTimeout(&mu_, kLook);
    // One that fails before we have agreed to anything is not tried again.
    if (failures_ != failures &&
        protocol_.recorded() <= DestinationRecorded::kPrepared &&
        request != MigrationRequest::kAbort) {
      return last_failure_;
    }
    const DestinationStep next = protocol_.next();
    fate = protocol_.On(request);
    if (protocol_.next() != next) changed_.SignalAll();
  }
  return fate == RequestFate::kDone ? absl::OkStatus() : Refusal();
}

absl::Status IncomingMigration::Refusal() const {
  std::string why =
      absl::StrCat("the migration is ", ToString(protocol_.recorded()));
  if (protocol_.stuck()) {
    absl::StrAppend(&why, ", and nobody can tell whether it has run here: see ",
                    directory_);
  } else if (!record_.reason().empty()) {
    absl::StrAppend(&why, ": ", record_.reason());
  }
  return absl::FailedPreconditionError(why);
}

v1::GetMigrationResponse IncomingMigration::Describe() {
  v1::GetMigrationResponse response;
  work_->Describe(&response);
  absl::MutexLock lock(&mu_);
  if (protocol_.next() == DestinationStep::kRestore) {
    response.set_state("restoring");
  } else {
    response.set_state(ToString(protocol_.runs() ? DestinationRecorded::kRunning
                                                 : protocol_.recorded()));
  }
  if (protocol_.stuck()) {
    response.set_trouble(std::string(Refusal().message()));
  } else if (failures_in_a_row_ > 0) {
    response.set_trouble(std::string(last_failure_.message()));
  }
  return response;
}

DestinationRecorded IncomingMigration::recorded() const {
  absl::MutexLock lock(&mu_);
  return protocol_.recorded();
}

absl::Time IncomingMigration::changed() const {
  absl::MutexLock lock(&mu_);
  return absl::FromUnixSeconds(record_.changed_unix_seconds());
}

// --- The thread --------------------------------------------------------------

bool IncomingMigration::HasWork() const {
  return stopping_ || protocol_.next() != DestinationStep::kNothing;
}

void IncomingMigration::Aside(const char* what,
                              absl::FunctionRef<absl::Status()> work) {
  mu_.Unlock();
  const absl::Status status = work();
  mu_.Lock();
  if (!status.ok()) {
    LOG(Warning) << directory_ << ": " << what << ": " << status.message();
  }
}

bool IncomingMigration::PrepareAhead() {
  if (protocol_.recorded() != DestinationRecorded::kPrepared) return false;
  if (!is_ready_) {
    Aside("getting ready", [this] { return work_->GetReady(); });
    is_ready_ = true;
    changed_.SignalAll();
    return true;
  }
  if (!expected_.has_value()) return false;
  const v1::RestoreRequest expected = *std::move(expected_);
  expected_.reset();
  Aside("expecting", [&] { return work_->Expect(expected); });
  return true;
}

void IncomingMigration::Run() {
  NameThisThread("pl-incoming");
  absl::MutexLock lock(&mu_);
  while (!stopping_) {
    const DestinationStep step = protocol_.next();
    if (step != DestinationStep::kNothing) {
      // Who waits until it runs is told so before that is on the disk.
      if (step == DestinationStep::kRecordRunning) LetAnswer();
      DoStep(step);
      continue;
    }
    if (protocol_.recorded() == DestinationRecorded::kAborted && !forgotten_) {
      forgotten_ = true;
      Aside("forgetting", [this] { return work_->Forget(); });
      continue;
    }
    if (PrepareAhead()) continue;
    const bool is_held = protocol_.recorded() == DestinationRecorded::kHeld;
    changed_.WaitWithTimeout(&mu_, is_held ? kLook : absl::InfiniteDuration());
    if (is_held && !HasWork() && work_->MayBeLost()) protocol_.LookAgain();
  }
}

void IncomingMigration::LetAnswer() {
  const absl::Time until = absl::Now() + kLook;
  while (asking_ > 0 && !stopping_ && !changed_.WaitWithDeadline(&mu_, until)) {
  }
}

void IncomingMigration::DoStep(DestinationStep step) {
  absl::Status status;
  if (const std::optional<DestinationRecorded> recorded = RecordedBy(step)) {
    status = Record(*recorded);
  } else {
    v1::RestoreRequest request;
    request.ParseFromString(record_.restore_request());
    is_cancelled_ = stopping_;
    mu_.Unlock();
    absl::StatusOr<RestoreFound> found = RestoreFound::kNothing;
    if (step == DestinationStep::kLook) {
      found = work_->Look();
      status = found.status();
    } else {
      status = Work(step, request);
    }
    mu_.Lock();
    if (step == DestinationStep::kLook && found.ok()) {
      LOG(Info) << directory_ << ": found what is " << static_cast<int>(*found);
      protocol_.Found(*found);
      failures_in_a_row_ = 0;
      changed_.SignalAll();
      return;
    }
  }
  if (status.ok()) {
    protocol_.Done(step);
    failures_in_a_row_ = 0;
    LOG(Info) << directory_ << ": " << ToString(step) << ": done";
    changed_.SignalAll();
    return;
  }
  LOG(Warning) << directory_ << ": " << ToString(step) << ": "
               << status.message();
  protocol_.Failed(step);
  last_failure_ = status;
  ++failures_;
  ++failures_in_a_row_;
  changed_.SignalAll();
  // Who gave up is not tried again; the others in a while.
  const absl::Time until =
      absl::Now() +
      std::min(kLongestPause,
               kFirstPause * (1 << std::min(failures_in_a_row_, 10)));
  while (!stopping_ && protocol_.next() == step && absl::Now() < until) {
    changed_.WaitWithDeadline(&mu_, until);
  }
}

absl::Status IncomingMigration::Record(DestinationRecorded recorded) {
  v1::DestinationRecord record = record_;
  record.set_state(ToString(recorded));
  record.set_changed_unix_seconds(absl::ToUnixSeconds(absl::Now()));
  RETURN_IF_ERROR(WriteRecord(directory_, kRecordName, record));
  record_ = std::move(record);
  return absl::OkStatus();
}

absl::Status IncomingMigration::Work(DestinationStep step,
                                     const v1::RestoreRequest& request) {
  switch (step) {
    case DestinationStep::kCleanUp:
      return work_->CleanUp();
    case DestinationStep::kRestore:
      return work_->Restore(request, is_cancelled_);
    case DestinationStep::kLetGo:
      return work_->LetGo();
    case DestinationStep::kForget:
      return work_->Forget();
    default:
      return absl::InternalError("no such work");
  }
}

}  // namespace pagelift
