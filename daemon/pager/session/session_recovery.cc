// Recovery: going on with a session whose process has died.

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/session/session.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

absl::Status LostTheHandoff() {
  return absl::AbortedError(
      "pageliftd ended unexpectedly while restore told it of its tasks: "
      "restore again");
}

absl::Time TimeOf(int64_t ns) { return absl::FromUnixNanos(ns); }

}  // namespace

SessionStats& StatsOf(SessionJournal& journal) {
  static_assert(sizeof(SessionStats) <= SessionJournal::kMostCounters);
  static_assert(SessionStats::Counter::is_always_lock_free);
  SessionRecord& record = journal.record();
  void* const place = journal.counters().data();
  // Another version counts other things.
  if (record.counters_size != sizeof(SessionStats)) {
    record.counters_size = sizeof(SessionStats);
    return *new (place) SessionStats;
  }
  return *std::launder(static_cast<SessionStats*>(place));
}

SessionSnapshot SnapshotOf(SessionJournal& journal) {
  const SessionRecord& record = journal.record();
  SessionSnapshot snapshot;
  snapshot.trouble = record.trouble.Get();
  const bool has_ended = record.ended_ns != 0;
  const absl::Time until = has_ended ? TimeOf(record.ended_ns) : absl::Now();
  snapshot.age = until - TimeOf(record.opened_ns);
  if (record.failed != 0) {
    snapshot.state = SessionState::kFailed;
  } else if (has_ended) {
    snapshot.state = SessionState::kComplete;
    snapshot.time_to_complete = until - TimeOf(record.finished_ns);
  } else if (record.finished_ns != 0) {
    snapshot.state = SessionState::kDraining;
  } else if (record.listener < 0 || record.handoff >= 0) {
    snapshot.state = SessionState::kServing;
  }
  absl::StatusOr<PrefetchMode> prefetch =
      PrefetchMode::Parse(record.prefetch.Get());
  if (prefetch.ok()) snapshot.prefetch = *prefetch;
  return snapshot;
}

absl::StatusOr<std::unique_ptr<Session>> Session::Resume(
    Options options, std::unique_ptr<PageSource> source,
    std::unique_ptr<SessionJournal> journal) {
  SessionRecord& record = journal->record();
  std::optional<FdListener> listener;
  if (record.listener >= 0) {
    listener.emplace(
        FdListener::Adopt(UniqueFd(record.listener),
                          absl::StrCat(options.work_dir, "/", kSocketName)));
  }
  return Make(std::move(options), std::move(source), std::move(listener),
              std::move(journal), /*resumed=*/true);
}

void Session::TakeOver() {
  absl::StatusOr<std::vector<std::unique_ptr<SpaceJournal>>> journals =
      journal_->Spaces();
  // Nothing is closed: whoever waits does so until there is memory again.
  CHECK(journals.ok()) << journals.status();
  std::vector<std::shared_ptr<AddressSpace>> spaces;
  absl::Status taken;
  for (std::unique_ptr<SpaceJournal>& journal : *journals) {
    const SpaceRecord& record = journal->record();
    if (record.state == SpaceRecord::kArrived) {
      TaskArrived task{record.image_pid, record.pid, UniqueFd(record.uffd)};
      taken.Update(TakeTask(task, std::move(journal)));
    } else {
      TakeOverSpace(std::move(journal), spaces);
    }
  }
  const bool was_finished = record_.finished_ns != 0;
  finished_ = was_finished;
  for (const std::shared_ptr<AddressSpace>& space : spaces) {
    Adopting(*space, [&space](AddressSpace::ForkCallback on_fork) {
      space->GoOn(on_fork);
    });
  }
  for (const std::shared_ptr<AddressSpace>& space : spaces) {
    space->CheckAlive();
    if (space->gone()) Reap(space);
  }
  if (record_.handoff >= 0) {
    CloseListener();
    TakeOverHandoff();
  }
  if (!finished_ && record_.failed == 0 && !listener_.has_value() &&
      !handoff_.has_value()) {
    taken.Update(LostTheHandoff());
  }
  if (!taken.ok()) AbandonHandoff(taken);
  BuryFrozen();
  if (has_ended()) return;  // Nobody is left.
  if (!listener_.has_value()) {
    loop_->RunAfter(kHousekeeping, [this] { Housekeeping(); });
  }
  if (was_finished) prefetcher_->Start();
  if (!finished_) FetchEarlyPages();
  ArmRetry(kFirstRetry);
  LOG(Info) << "session in " << options_.work_dir << " goes on with "
            << LiveSpaces().size() << " address spaces";
  CheckComplete();
}

void Session::TakeOverSpace(
    std::unique_ptr<SpaceJournal> journal,
    std::vector<std::shared_ptr<AddressSpace>>& spaces) {
  SpaceRecord& record = journal->record();
  const uint32_t task = record.task;
  const bool held = record.held != 0;
  const pid_t parent = record.parent_pid;
  std::optional<PidFd> pid;
  if (record.pidfd >= 0) {
    pid = PidFd::Adopt(UniqueFd(record.pidfd), record.pid);
  }
  UniqueFd fd(record.uffd);
  absl::StatusOr<UserfaultFd> uffd = UserfaultFd::Adopt(std::move(fd));
  if (!uffd.ok() || lineages_.size() <= task) {
    LOG(Error) << "descriptor " << record.uffd
               << " cannot be gone on with: " << uffd.status();
    (void)(uffd.ok() ? std::move(*uffd).Release().release() : fd.release());
    return;
  }
  absl::StatusOr<SpaceLayout> layout = journal->Rebuild();
  if (record.frozen != 0 || !layout.ok()) {
    if (!layout.ok()) {
      SetTrouble(
          absl::StrCat("a target waits for ever: what was known of its "
                       "memory cannot be read: ",
                       layout.status().message()));
      LOG(Error) << layout.status();
      record.frozen = 1;
    }
    auto space = std::make_shared<AddressSpace>(MemoryBehind(*std::move(uffd)),
                                                SpaceLayout(), std::move(pid),
                                                stats_, std::move(journal));
    absl::MutexLock lock(&mu_);
    frozen_.push_back(std::move(space));
    return;
  }
  auto space = std::make_shared<AddressSpace>(
      MemoryBehind(*std::move(uffd)), *std::move(layout), std::move(pid),
      stats_, std::move(journal));
  lineage_of_[space.get()] = lineages_[task].get();
  lineages_[task]->Add(space);
  if (held) {
    children_.Add({space}, parent);
    if (look_backoff_ == absl::ZeroDuration()) {
      look_backoff_ = kFirstLook;
      loop_->RunAfter(look_backoff_, [this] { ReleaseChildren(); });
    }
  } else {
    WatchSpace(space);
  }
  // What has to be there before it runs may not have been asked for.
  const TaskDescription& description = source_->description().tasks[task];
  if (record_.finished_ns == 0 && !description.must_have_pages.empty()) {
    early_.emplace_back(space, description.must_have_pages);
  }
  spaces.push_back(std::move(space));
}

bool Session::HasEveryTask() const {
  for (size_t i = 0; i < lineages_.size(); ++i) {
    if (!source_->description().tasks[i].zombie && !lineages_[i]->was_used()) {
      return false;
    }
  }
  return true;
}

void Session::TakeOverHandoff() {
  std::optional<CriuHandoff::Due> due;
  if (record_.task_due != 0) {
    due = CriuHandoff::Due{record_.task_due, record_.sender};
  }
  handoff_.emplace(FdChannel(UniqueFd(record_.handoff)), due);
  const absl::Status watched =
      loop_->Watch(handoff_->fd(), [this] { OnHandoff(); });
  if (!watched.ok()) return AbandonHandoff(watched);
  if (record_.receiving == 0 || finished_) return;
  // What was received last is perhaps not known. If restore is through with
  // every task, it has said that it is finished.
  if (HasEveryTask() && handoff_->has_hung_up()) {
    OnRestoreFinished();
    CloseHandoff();
    return;
  }
  AbandonHandoff(LostTheHandoff());
}

}  // namespace pagelift
