// Serving: events and faults of the address spaces, and what is tried again.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "daemon/pager/session/session.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// Faults that have waited for so long wait for no event that is only a moment
// away.
constexpr absl::Duration kNoEventFor = absl::Milliseconds(50);
// A page that was about to come is demanded when it is later by this, and as
// much again as it was to take.
constexpr absl::Duration kLatePatience = absl::Milliseconds(2);

}  // namespace

void Session::WatchSpace(std::shared_ptr<AddressSpace> space) {
  absl::Status status =
      loop_->Watch(space->fd(), [this, space] { Serve(space); });
  CHECK(status.ok()) << "cannot watch a userfaultfd: " << status;
  if (space->pid().has_value()) WatchProcess(space);
}

void Session::WatchProcess(const std::shared_ptr<AddressSpace>& space) {
  absl::Status status =
      loop_->Watch(space->pid()->fd(), [this, space] { OnTaskExit(space); });
  CHECK(status.ok()) << "cannot watch a process: " << status;
}

void Session::UnwatchSpace(const AddressSpace& space) {
  loop_->Unwatch(space.fd());
  if (space.pid().has_value()) loop_->Unwatch(space.pid()->fd());
  starved_.erase(&space);
}

void Session::OnTaskExit(const std::shared_ptr<AddressSpace>& space) {
  // Housekeeping asks again if somebody else lives in that memory.
  loop_->Unwatch(space->pid()->fd());
  space->CheckAlive();
  if (space->gone()) Reap(space);
}

bool Session::Adopting(
    AddressSpace& parent,
    absl::FunctionRef<void(AddressSpace::ForkCallback)> work) {
  std::vector<std::shared_ptr<AddressSpace>> children;
  work([&](std::shared_ptr<AddressSpace> child) {
    // Under the parent's exclusive lock: see lineage.h.
    Lineage* lineage = lineage_of_.at(&parent);
    lineage_of_[child.get()] = lineage;
    lineage->Add(child);
    children.push_back(std::move(child));
  });
  std::vector<std::shared_ptr<AddressSpace>> held;
  for (const std::shared_ptr<AddressSpace>& child : children) {
    if (child->held()) {
      held.push_back(child);
    } else {
      WatchSpace(child);
    }
    if (child->has_doubts()) ArmRetry(kFirstRetry);
  }
  if (!held.empty()) children_.Add(std::move(held), parent.pid()->pid());
  if (!children.empty()) prefetcher_->Nudge();
  if (!children_.empty() && look_backoff_ == absl::ZeroDuration()) {
    look_backoff_ = kFirstLook;
    loop_->RunAfter(look_backoff_, [this] { ReleaseChildren(); });
  }
  return !children.empty();
}

void Session::ReleaseChildren() {
  absl::flat_hash_set<pid_t> known;
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    if (space->pid().has_value()) known.insert(space->pid()->pid());
  }
  const std::vector<std::shared_ptr<AddressSpace>> released =
      children_.Release([&known](pid_t pid) { return known.contains(pid); });
  for (const std::shared_ptr<AddressSpace>& child : released) {
    WatchSpace(child);
    if (child->gone()) Reap(child);
  }
  if (!released.empty()) {
    prefetcher_->Nudge();
    // What there was to bring may be zero in it.
    PostCheckComplete();
  }
  if (children_.empty()) {
    look_backoff_ = absl::ZeroDuration();
    return;
  }
  look_backoff_ = std::min(kSlowestLook, look_backoff_ * 2);
  loop_->RunAfter(look_backoff_, [this] { ReleaseChildren(); });
}

bool Session::MayRead(const std::shared_ptr<AddressSpace>& space) {
  // So that no session takes all the descriptors and memory of the others.
  if (lineage_of_.size() >=
      lineages_.size() + options_.limits.forked_processes) {
    NoteStarved(*space,
                absl::ResourceExhaustedError(absl::StrCat(
                    "there are ", options_.limits.forked_processes,
                    " forked processes without all their memory, and no more "
                    "are let in for now: see --forked-processes")));
    return false;
  }
  // Nor all the processors.
  const absl::Duration pause = events_.Pause(MonotonicNow());
  if (pause <= absl::ZeroDuration()) return true;
  if (starved_.insert(space.get()).second) loop_->Unwatch(space->fd());
  if (held_back_.insert(space.get()).second) {
    loop_->RunAfter(pause, [this, space] {
      held_back_.erase(space.get());
      Serve(space);
    });
  }
  return false;
}

void Session::PayForEvents(uint64_t forks_before, uint64_t others_before) {
  const uint64_t forks = stats_.forks - forks_before;
  const uint64_t others = OtherEvents() - others_before;
  if (forks == 0 && others == 0) return;
  events_.Spend(static_cast<double>(forks) * SessionLimits::kEventsOfAFork +
                    static_cast<double>(others),
                MonotonicNow());
}

uint64_t Session::OtherEvents() const {
  return stats_.remaps + stats_.removes + stats_.unmaps;
}

void Session::ReadEvents(const std::shared_ptr<AddressSpace>& space) {
  if (!MayRead(space)) return;
  faults_.clear();
  absl::Status status;
  const uint64_t forks = stats_.forks;
  const uint64_t others = OtherEvents();
  Adopting(*space, [&](AddressSpace::ForkCallback on_fork) {
    status = space->Drain(&faults_, on_fork);
  });
  PayForEvents(forks, others);
  stats_.faults.fetch_add(faults_.size(), std::memory_order_relaxed);
  for (const PageFault& fault : faults_) ServeFault(space, fault.page);
  if (status.ok()) {
    NoteFed(space);
  } else {
    NoteStarved(*space, status);
  }
  if (space->waiting().any_deferred() || space->has_doubts()) {
    ArmRetry(kFirstRetry);
  }
}

void Session::Serve(const std::shared_ptr<AddressSpace>& space) {
  if (space->closed() || space->held()) return;
  ReadEvents(space);
  if (options_.check_invariants && MonotonicNow() >= next_check_) {
    CheckInvariants();
  }
  if (space->gone()) {
    Reap(space);
  } else if (finished_ && space->complete()) {
    // Its last pages may have gone by an event, without an answer.
    PostCheckComplete();
  }
}

void Session::NoteStarved(const AddressSpace& space, const absl::Status& why) {
  if (starved_.insert(&space).second) loop_->Unwatch(space.fd());
  starved_trouble_ = std::string(why.message());
  SetTrouble(starved_trouble_);
  ArmRetry(kSlowestRetry);
}

void Session::NoteFed(const std::shared_ptr<AddressSpace>& space) {
  if (starved_.erase(space.get()) == 0) return;
  absl::Status status =
      loop_->Watch(space->fd(), [this, space] { Serve(space); });
  CHECK(status.ok()) << "cannot watch a userfaultfd: " << status;
  if (starved_.empty()) ClearTrouble(starved_trouble_);
}

void Session::ServeFault(const std::shared_ptr<AddressSpace>& space,
                         PageId page) {
  ImagePage image;
  const AddressSpace::Answer answer = space->Resolve(page, &image);
  if (!AddressSpace::AsksSource(answer)) return;
  const bool awaited = answer == AddressSpace::Answer::kFetchSooner &&
                       AwaitLate(space, page, image);
  prefetcher_->OnFault(*space, {page, image}, PageCount(awaited ? 0 : 1));
  if (!awaited) Demand(image);
  if (recorder_.has_value()) recorder_->OnFault(image, MonotonicNow());
}

bool Session::AwaitLate(const std::shared_ptr<AddressSpace>& space, PageId page,
                        ImagePage image) {
  const absl::Duration arrives = source_->ArrivesIn(image);
  if (arrives == absl::InfiniteDuration()) return false;
  // A guess: what is prefetched may be stuck where a demand is not.
  loop_->RunAfter(2 * arrives + kLatePatience, [this, space, page, image] {
    if (has_ended() || !space->waiting().Contains(page)) return;
    prefetcher_->NoteRequested(PageCount(1));
    Demand(image);
  });
  return true;
}

void Session::Demand(ImagePage page) {
  stats_.demand_fetches.fetch_add(1, std::memory_order_relaxed);
  FetchNow(page);
}

void Session::FetchNow(ImagePage page) {
  fetching_ = true;
  source_->Fetch({page, PageCount(1)}, Urgency::kDemand);
  fetching_ = false;
}

void Session::ArmRetry(absl::Duration at_least) {
  const absl::Duration delay = std::max(at_least, retry_backoff_);
  const absl::Duration at = MonotonicNow() + delay;
  if (retry_at_ <= at) return;
  retry_at_ = at;
  loop_->RunAfter(delay, [this, at] {
    if (retry_at_ != at) return;  // An earlier one took its place.
    retry_at_ = absl::InfiniteDuration();
    Retry();
  });
}

void Session::Retry() {
  bool again = false;
  retry_backoff_ =
      std::min(kSlowestRetry, std::max(kFirstRetry, retry_backoff_ * 2));
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    // Events first: they are why it was deferred.
    Serve(space);
    if (space->closed() || space->held()) continue;
    for (PageId page : space->waiting().Deferred()) ServeFault(space, page);
    FreeStuckGrowth(space);
    if (space->SettleDoubts()) again = true;
    if (space->waiting().any_deferred()) again = true;
    if (space->gone()) Reap(space);
  }
  prefetcher_->Nudge();
  if (again) {
    ArmRetry(retry_backoff_);
  } else if (retry_at_ == absl::InfiniteDuration()) {
    retry_backoff_ = absl::ZeroDuration();
  }
}

void Session::FreeStuckGrowth(const std::shared_ptr<AddressSpace>& space) {
  // Mostly they are deferred; but where such memory went over pages that are
  // still missing, they were taken for demands.
  if (absl::Now() - space->waiting().OldestSince() < kNoEventFor) return;
  const bool was_known = space->pid().has_value();
  const absl::Status status = space->FreeStuckGrowth();
  if (!was_known && space->pid().has_value()) WatchProcess(space);
  if (absl::IsPermissionDenied(status) && !told_of_growth_) {
    told_of_growth_ = true;
    LOG(Warning) << "a target may wait for ever in mremap(2) of locked memory, "
                 << "and this daemon may not look whether it does: "
                 << status.message() << "; it needs CAP_SYS_PTRACE for that";
  }
}

void Session::Housekeeping() {
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    space->CheckAlive();
    if (space->gone()) {
      Reap(space);
    } else {
      FreeStuckGrowth(space);
    }
  }
  CheckRecording();
  CheckInvariants();
  CheckSourceLost();
  BuryFrozen();
  if (!finished_ && source_->is_gone()) OnSourceGone();
  if (!has_ended()) {
    loop_->RunAfter(kHousekeeping, [this] { Housekeeping(); });
  }
}

void Session::CheckSourceLost() {
  const LostSource& lost = options_.lost_source;
  if (gave_up_ || lost.action == WhenUnavailable::kFreeze) return;
  absl::Time since = absl::InfiniteFuture();
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    since = std::min(since, space->waiting().OldestSince());
  }
  const absl::Duration nothing_for =
      MonotonicNow() - absl::Nanoseconds(last_arrival_.load());
  if (!lost.IsLost(absl::Now() - since, nothing_for)) return;
  gave_up_ = true;
  const std::string why = absl::StrCat(
      "nothing has come for ", absl::FormatDuration(nothing_for),
      ", and the targets were given up (", ToString(lost.action), ")");
  LOG(Error) << "session in " << options_.work_dir << ": " << why;
  SetTrouble(why);
  const ImageRange all{ImagePage(0), source_->description().page_count};
  const bool kill = lost.action == WhenUnavailable::kKill;
  if (kill) SetState(SessionState::kFailed);
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    // A forked child may not be known by its process.
    if (kill && space->pid().has_value() && space->pid()->Kill().ok()) continue;
    space->Lose(all);
  }
}

void Session::CheckInvariants() {
  if (!options_.check_invariants) return;
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    CheckInvariants(*space);
  }
  next_check_ = MonotonicNow() + kCheckEvery;
}

void Session::CheckInvariants(const AddressSpace& space) {
  if (!options_.check_invariants) return;
  const std::vector<std::string> broken =
      checkers_.try_emplace(&space, options_.patience)
          .first->second.Check(space.Facts(), absl::Now());
  CHECK(broken.empty()) << "in " << options_.work_dir << ": "
                        << absl::StrJoin(broken, "; ");
}

}  // namespace pagelift
