// The hand-off: restore's socket, the tasks it brings, and what becomes of
// those that are refused.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/session/session.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/uffd/features.h"

namespace pagelift {
namespace {

// What was handed over and could not be adopted. Unless it is certain that it
// is nothing of a target's, it stays open for as long as this process lives: a
// task whose userfaultfd is closed reads zeros.
void KeepOpen(UniqueFd fd, const absl::Status& why) {
  if (why.code() == absl::StatusCode::kInvalidArgument ||
      why.code() == absl::StatusCode::kFailedPrecondition) {
    return;
  }
  LOG(Error) << "a descriptor of a task cannot be used and stays open: "
             << why.message();
  const int kept = fd.release();
  (void)kept;
}

absl::Status MapOf(const TaskDescription& task, PageMap& map) {
  for (const ImageExtent& extent : task.extents) {
    RETURN_IF_ERROR(map.Add(extent.pages, extent.image));
  }
  return absl::OkStatus();
}

}  // namespace

void Session::OnConnect() {
  absl::StatusOr<FdChannel> channel = listener_->Accept(Wait::kDontWait);
  if (channel.status().code() == absl::StatusCode::kUnavailable) return;
  if (channel.ok()) {
    handoff_.emplace(*std::move(channel));
    journal_->SetHandoff(handoff_->fd());
  }
  // One restore, one connection.
  CloseListener();
  if (!channel.ok()) {
    AbandonHandoff(channel.status());
    return;
  }
  SetState(SessionState::kServing);
  absl::Status watched = loop_->Watch(handoff_->fd(), [this] { OnHandoff(); });
  if (!watched.ok()) AbandonHandoff(watched);
  loop_->RunAfter(kHousekeeping, [this] { Housekeeping(); });
}

void Session::CloseListener() {
  if (!listener_.has_value()) return;
  journal_->SetListener(-1);
  loop_->Unwatch(listener_->fd());
  listener_.reset();
}

void Session::CloseHandoff() {
  if (!handoff_.has_value()) return;
  journal_->SetHandoff(-1);
  loop_->Unwatch(handoff_->fd());
  handoff_.reset();
}

std::vector<std::unique_ptr<SpaceJournal>> Session::NoteReceived(
    absl::Span<const HandoffEvent> events) {
  std::vector<std::unique_ptr<SpaceJournal>> journals(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    if (const TaskArrived* task = std::get_if<TaskArrived>(&events[i])) {
      journals[i] = journal_->Arrive(task->userfaultfd.get(), task->host_pid,
                                     task->image_pid);
    } else if (std::holds_alternative<RestoreFinished>(events[i])) {
      record_.finished_ns = absl::GetCurrentTimeNanos();
    }
  }
  const std::optional<CriuHandoff::Due> due = handoff_->due();
  record_.task_due = due.has_value() ? due->image_pid : 0;
  record_.sender = due.has_value() ? due->sender : 0;
  record_.receiving = handoff_->in_word() ? 1 : 0;
  return journals;
}

void Session::OnHandoff() {
  while (handoff_.has_value()) {
    record_.receiving = 1;
    absl::StatusOr<std::vector<HandoffEvent>> events = handoff_->Receive();
    if (!events.ok()) {
      AbandonHandoff(events.status());
      return;
    }
    std::vector<std::unique_ptr<SpaceJournal>> journals = NoteReceived(*events);
    if (events->empty()) return;
    absl::Status status;
    for (size_t i = 0; i < events->size(); ++i) {
      HandoffEvent& event = (*events)[i];
      if (status.ok()) {
        status = Take(event, std::move(journals[i]));
      } else {
        Disbelieve(event, std::move(journals[i]));
      }
    }
    if (!status.ok()) AbandonHandoff(status);
  }
}

absl::Status Session::Take(HandoffEvent& event,
                           std::unique_ptr<SpaceJournal> journal) {
  if (TaskArrived* task = std::get_if<TaskArrived>(&event)) {
    return TakeTask(*task, std::move(journal));
  }
  if (std::holds_alternative<RestoreFinished>(event)) {
    OnRestoreFinished();
  } else if (std::holds_alternative<RestoreHungUp>(event)) {
    OnRestoreHungUp();
  }
  return absl::OkStatus();  // Zombies have no memory.
}

absl::Status Session::TakeTask(TaskArrived& task,
                               std::unique_ptr<SpaceJournal> journal) {
  absl::StatusOr<UserfaultFd> adopted =
      UserfaultFd::Adopt(std::move(task.userfaultfd));
  if (!adopted.ok()) {
    KeepOpen(std::move(task.userfaultfd), adopted.status());
    return adopted.status();
  }
  UserfaultFd uffd = *std::move(adopted);
  std::optional<PidFd> pid;
  if (task.host_pid > 0) {
    absl::StatusOr<PidFd> opened = PidFd::Open(task.host_pid);
    if (opened.ok()) pid = *std::move(opened);
  }
  const TaskDescription* description =
      source_->description().FindTask(task.image_pid);
  PageMap map;
  absl::Status status = CheckTask(task.image_pid, uffd);
  if (status.ok()) status = MapOf(*description, map);
  if (!status.ok()) {
    Freeze(std::move(uffd), std::move(pid), std::move(journal));
    return status;
  }
  const size_t index =
      static_cast<size_t>(description - source_->description().tasks.data());
  std::vector<PageId> early = description->must_have_pages;
  for (PageId page : LikelyFirst(index, map)) early.push_back(page);
  RangeSet regions;
  for (PageRange region : description->lazy_regions) regions.Insert(region);
  LOG(Info) << "task " << task.image_pid << " (pid " << task.host_pid
            << " here): " << map.counts().missing.raw() << " lazy pages";
  std::shared_ptr<AddressSpace> space =
      NewSpace(std::move(uffd), SpaceLayout(std::move(map), std::move(regions)),
               std::move(pid), index, /*frozen=*/false, std::move(journal));
  lineage_of_[space.get()] = lineages_[index].get();
  lineages_[index]->Add(space);
  WatchSpace(space);
  if (!early.empty()) {
    early_.emplace_back(std::move(space), std::move(early));
    if (early_.size() == 1) FetchEarlyPages();
  }
  return absl::OkStatus();
}

std::shared_ptr<AddressSpace> Session::NewSpace(
    UserfaultFd uffd, SpaceLayout layout, std::optional<PidFd> pid, size_t task,
    bool frozen, std::unique_ptr<SpaceJournal> journal) {
  SessionJournal::Space space;
  space.uffd = uffd.fd();
  space.task = static_cast<uint32_t>(task);
  space.frozen = frozen;
  if (pid.has_value()) {
    space.pid = pid->pid();
    space.pidfd = pid->fd();
  }
  if (journal != nullptr) journal_->Settle(*journal, space, layout);
  return std::make_shared<AddressSpace>(MemoryBehind(std::move(uffd)),
                                        std::move(layout), std::move(pid),
                                        stats_, std::move(journal));
}

void Session::FetchEarlyPages() {
  for (auto& [space, pages] : early_) {
    auto asked_for = [this, &space = space](PageId page) {
      ImagePage image;
      const AddressSpace::Answer answer = space->ResolveEarly(page, &image);
      if (answer == AddressSpace::Answer::kFetch) {
        prefetcher_->NoteRequested(PageCount(1));
        FetchNow(image);
      }
      return answer != AddressSpace::Answer::kDeferred;
    };
    pages.erase(std::remove_if(pages.begin(), pages.end(), asked_for),
                pages.end());
  }
  early_.erase(
      std::remove_if(early_.begin(), early_.end(),
                     [](const auto& entry) { return entry.second.empty(); }),
      early_.end());
  if (early_.empty() || has_ended()) return;
  loop_->RunAfter(kEarlyPause, [this] { FetchEarlyPages(); });
}

absl::Status Session::CheckTask(int32_t image_pid,
                                const UserfaultFd& uffd) const {
  const std::vector<TaskDescription>& tasks = source_->description().tasks;
  const TaskDescription* description =
      source_->description().FindTask(image_pid);
  if (description == nullptr || description->zombie) {
    return absl::NotFoundError(absl::StrCat(
        "restore has a task ", image_pid,
        " that the source's image does not have: is it another checkpoint?"));
  }
  if (lineages_[static_cast<size_t>(description - tasks.data())]->was_used()) {
    return absl::AlreadyExistsError(
        absl::StrCat("task ", image_pid, " came twice"));
  }
  const FeatureSet lacking = kLayoutEvents - uffd.features();
  if (!lacking.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the kernel, or this criu, does not tell of all that a "
                     "task does to its memory: its userfaultfd lacks ",
                     ToString(lacking),
                     ". Restore with another kernel or criu, or without "
                     "--lazy-pages"));
  }
  return absl::OkStatus();
}

void Session::Disbelieve(HandoffEvent& event,
                         std::unique_ptr<SpaceJournal> journal) {
  TaskArrived* task = std::get_if<TaskArrived>(&event);
  if (task == nullptr) return;
  absl::StatusOr<UserfaultFd> uffd =
      UserfaultFd::Adopt(std::move(task->userfaultfd));
  absl::StatusOr<PidFd> pid = PidFd::Open(task->host_pid);
  if (!uffd.ok()) {
    return KeepOpen(std::move(task->userfaultfd), uffd.status());
  }
  Freeze(*std::move(uffd),
         pid.ok() ? std::make_optional(*std::move(pid)) : std::nullopt,
         std::move(journal));
}

void Session::Freeze(UserfaultFd uffd, std::optional<PidFd> pid,
                     std::unique_ptr<SpaceJournal> journal) {
  std::shared_ptr<AddressSpace> space =
      NewSpace(std::move(uffd), SpaceLayout(), std::move(pid), /*task=*/0,
               /*frozen=*/true, std::move(journal));
  {
    absl::MutexLock lock(&mu_);
    frozen_.push_back(space);
  }
  if (!space->pid().has_value()) return;
  const int fd = space->pid()->fd();
  // If it cannot be watched, housekeeping finds out later.
  absl::Status ignored = loop_->Watch(fd, [this, fd] {
    loop_->Unwatch(fd);
    BuryFrozen();
  });
}

void Session::BuryFrozen() {
  {
    absl::MutexLock lock(&mu_);
    for (auto it = frozen_.begin(); it != frozen_.end();) {
      AddressSpace& space = **it;
      space.CheckAlive();
      if (!space.gone()) {
        ++it;
        continue;
      }
      if (space.pid().has_value()) loop_->Unwatch(space.pid()->fd());
      space.Bury();
      it = frozen_.erase(it);
    }
  }
  EndIfNothingIsLeft();
}

void Session::OnRestoreFinished() {
  finished_ = true;
  {
    absl::MutexLock lock(&mu_);
    if (record_.finished_ns == 0) {
      record_.finished_ns = absl::GetCurrentTimeNanos();
    }
    state_ = SessionState::kDraining;
  }
  LOG(Info) << "restore in " << options_.work_dir << " finished, tasks run";
  if (recorder_.has_value()) recorder_->Start(MonotonicNow());
  // What could not be asked for until now goes before the rest.
  FetchEarlyPages();
  early_.clear();
  prefetcher_->Start();
}

absl::Status Session::WhyRestoreFailed() const {
  if (source_->is_gone()) return absl::UnavailableError(source_->trouble());
  constexpr char kWhat[] = "criu restore ended before the tasks were restored";
  if (stats_.pages_lost > 0) {
    absl::MutexLock lock(&mu_);
    return absl::DataLossError(absl::StrCat(kWhat, ": ", trouble_));
  }
  return absl::AbortedError(absl::StrCat(kWhat, "; its log says why"));
}

void Session::OnRestoreHungUp() {
  if (!finished_) {
    AbandonHandoff(WhyRestoreFailed());
    return;
  }
  CloseHandoff();
}

void Session::AbandonHandoff(const absl::Status& why) {
  LOG(Error) << "restore in " << options_.work_dir << ": " << why.message();
  SetTrouble(std::string(why.message()));
  if (finished_) {
    // The tasks run: nothing that is said on the socket matters any more.
    CloseHandoff();
    return;
  }
  if (handoff_.has_value()) {
    // Restore's next message fails, and it kills the tasks it has made. Until
    // they are gone their faults are answered.
    handoff_->RefuseMore();
    DrainAbandonedHandoff();
    CloseHandoff();
  }
  SetState(SessionState::kFailed);
  EndIfNothingIsLeft();
}

void Session::OnSourceGone() {
  // Restore may just have said that the tasks run.
  if (handoff_.has_value()) OnHandoff();
  if (finished_ || has_ended()) return;
  LOG(Error) << "restore in " << options_.work_dir
             << " cannot go on without its source: its tasks get SIGBUS";
  const ImageRange all{ImagePage(0), source_->description().page_count};
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    space->Lose(all);
  }
}

void Session::DrainAbandonedHandoff() {
  while (true) {
    absl::StatusOr<std::vector<HandoffEvent>> events = handoff_->Receive();
    if (!events.ok() || events->empty()) return;
    std::vector<std::unique_ptr<SpaceJournal>> journals = NoteReceived(*events);
    for (size_t i = 0; i < events->size(); ++i) {
      Disbelieve((*events)[i], std::move(journals[i]));
    }
  }
}

}  // namespace pagelift
