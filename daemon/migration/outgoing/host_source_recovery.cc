// What the next worker of a migration's source needs of this one, and how it
// goes on with it.

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/outgoing/host_source_work.h"
#include "daemon/migration/parked/frozen_task.h"
#include "daemon/migration/parked/frozen_tree_proto.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/migration/record_file.h"
#include "lib/process/boot_id.h"

namespace pagelift {
namespace {

constexpr absl::Duration kSettlePatience = absl::Seconds(1);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);

// The same processes, which were of an earlier boot.
FrozenTree EndedTree(const FrozenTaskProtos& tasks) {
  std::vector<FrozenTask> ended;
  for (const v1::FrozenTask& task : tasks) {
    ended.push_back(FrozenTask::Ended(
        {FromProto(task.process()), task.image_pid(), task.was_stopped()}));
  }
  return FrozenTree(std::move(ended));
}

}  // namespace

absl::Status HostSourceWork::Note() {
  *note_.mutable_guard() = ToProto(guard_);
  return WriteNote(place_.directory, MigrationPlace::kDescriptors, note_);
}

absl::Status HostSourceWork::Adopt() {
  ASSIGN_OR_RETURN(
      const std::optional<v1::SourceRecord> record,
      ReadRecord<v1::SourceRecord>(place_.directory, MigrationPlace::kRecord));
  if (!record.has_value()) return absl::OkStatus();
  {
    absl::MutexLock lock(&mu_);
    listens_on_ = record->listens_on();
  }
  ASSIGN_OR_RETURN(const std::optional<v1::SourceDescriptors> noted,
                   ReadNote<v1::SourceDescriptors>(
                       place_.directory, MigrationPlace::kDescriptors));
  if (noted.has_value()) note_ = *noted;
  const bool same_guard =
      noted.has_value() && FromProto(noted->guard()) == guard_;
  bool was_down = false;  // This host.
  const auto& tasks = note_.tasks_size() > 0 ? note_.tasks() : record->tasks();
  if (same_guard) {
    if (absl::StatusOr<CriuLeash> leash = CriuLeash::Adopt(note_.leash());
        leash.ok()) {
      leash_.emplace(*std::move(leash));
    }
    if (absl::StatusOr<ParkedDump> dump =
            ParkedDump::Adopt(place_.images(), FromProto(note_.criu()));
        dump.ok()) {
      dump_.emplace(*std::move(dump));
    }
    tree_ = std::make_shared<FrozenTree>(AdoptTree(tasks));
  } else {
    note_.set_leash(-1);
    note_.set_spool(-1);
    ASSIGN_OR_RETURN(const std::string boot_id, BootId());
    was_down = record->boot_id() != boot_id && !record->boot_id().empty();
    tree_ = std::make_shared<FrozenTree>(was_down ? EndedTree(tasks)
                                                  : ReopenTree(tasks));
    if (record->state() == ToString(SourceRecorded::kCommitted) ||
        record->state() == ToString(SourceRecorded::kResumed)) {
      RETURN_IF_ERROR(CheckReopened());
    }
  }
  if (record->state() == ToString(SourceRecorded::kPlanned) ||
      record->state() == ToString(SourceRecorded::kAborted) ||
      record->state() == ToString(SourceRecorded::kReleased)) {
    return absl::OkStatus();
  }
  absl::Status opened = OpenImages();
  if (!opened.ok() &&
      (was_down || record->state() == ToString(SourceRecorded::kSpooled))) {
    // Perhaps nobody needs them any more: the destination knows. If this host
    // has lost them, it is to run there all the same.
    LOG(Error) << "migration " << plan_.id() << ": " << opened.message();
    return absl::OkStatus();
  }
  return opened;
}

absl::Status HostSourceWork::CheckReopened() {
  absl::Status stopped = tree_->CheckStopped();
  // CRIU may just be letting go of them, on their way to where they stop.
  const absl::Time give_up = absl::Now() + kSettlePatience;
  while (absl::IsAborted(stopped) && absl::Now() < give_up) {
    absl::SleepFor(kBetweenLooks);
    stopped = tree_->CheckStopped();
  }
  if (!absl::IsAborted(stopped)) return absl::OkStatus();
  LOG(Error) << "migration " << plan_.id() << ": " << stopped.message()
             << ": somebody has continued the frozen processes, whose memory "
                "is not what it was any more; they are killed, and pages that "
                "were only there are lost";
  return tree_->Kill(kKillPatience);
}

void HostSourceWork::KeepFenced() {
  if (tree_ != nullptr) tree_->Fence().IgnoreError();
}

void HostSourceWork::AddTo(v1::SourceRecord* record) {
  if (tree_ != nullptr) *record->mutable_tasks() = ToProto(*tree_);
  if (const absl::StatusOr<std::string> boot_id = BootId(); boot_id.ok()) {
    record->set_boot_id(*boot_id);
  }
  absl::MutexLock lock(&mu_);
  record->set_listens_on(listens_on_);
}

absl::Status HostSourceWork::Forget() {
  std::error_code error;
  std::filesystem::remove_all(place_.images(), error);
  if (error) return SysErrorOf(error.value(), "remove ", place_.images());
  if (plan_.spool_directory().empty()) return absl::OkStatus();
  std::filesystem::remove_all(
      absl::StrCat(plan_.spool_directory(), "/", plan_.id()), error);
  if (error) return SysErrorOf(error.value(), "remove the spool");
  return absl::OkStatus();
}

absl::Status HostSourceWork::OpenImages() {
  ASSIGN_OR_RETURN(
      const std::shared_ptr<const CheckpointImage> image,
      CheckpointImage::Open(place_.images(), OpenMode::kLayoutOnly));
  const ImageDescription& description = image->description();
  ASSIGN_OR_RETURN(spool_, OpenSpool(description));
  ASSIGN_OR_RETURN(TreePages pages, TreePages::Of(description, *tree_));
  pages_ = std::make_unique<TreePages>(std::move(pages));
  catalog_.Put(
      std::make_shared<ParkedStore>(description, pages_.get(), *spool_));
  absl::MutexLock lock(&mu_);
  page_count_ = description.page_count;
  content_id_ = description.content_id;
  spool_to_tell_of_ = spool_;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Spool>> HostSourceWork::OpenSpool(
    const ImageDescription& description) {
  if (plan_.spool_directory().empty()) {
    // What is noted stays open, whatever becomes of this object: there may be
    // no other copy.
    const int fd = fcntl(note_.spool(), F_DUPFD_CLOEXEC, 3);
    absl::StatusOr<std::unique_ptr<Spool>> adopted =
        fd < 0 ? absl::NotFoundError("no spool")
               : Spool::Adopt(fd, description);
    if (!absl::IsNotFound(adopted.status())) return adopted;
    if (fd >= 0) close(fd);
    return Spool::MakeInMemory(description);
  }
  const std::string directory =
      absl::StrCat(plan_.spool_directory(), "/", plan_.id());
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return SysErrorOf(error.value(), "make ", directory);
  absl::StatusOr<std::unique_ptr<Spool>> opened =
      Spool::OpenFile(directory, description);
  if (!absl::IsNotFound(opened.status())) return opened;
  return Spool::MakeInFile(directory, description);
}

}  // namespace pagelift
