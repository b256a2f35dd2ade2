#include "daemon/pager/session/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/event_loop/monotonic_time.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/uffd/features.h"

namespace pagelift {
namespace {

constexpr char kSocketName[] = "lazy-pages.socket";

// A deferred fault is tried again soon: an event that was read stops mattering
// within some hundred microseconds. Then less and less often.
constexpr absl::Duration kFirstRetry = absl::Microseconds(100);
constexpr absl::Duration kSlowestRetry = absl::Milliseconds(20);
// How long a source's thread waits for an event to be read before it gives the
// pages back: it must not wait for ever, the event thread may be waiting for
// room on that very source.
constexpr absl::Duration kInstallPatience = absl::Milliseconds(5);
constexpr absl::Duration kInstallPause = absl::Microseconds(20);
// A source that cannot serve now is asked again after this.
constexpr absl::Duration kUnavailableRetry = absl::Milliseconds(100);
// No event tells of exec and of a forked child's exit.
constexpr absl::Duration kHousekeeping = absl::Seconds(1);

absl::Status MapOf(const TaskDescription& task, PageMap& map) {
  for (const ImageExtent& extent : task.extents) {
    RETURN_IF_ERROR(map.Add(extent.pages, extent.image));
  }
  return absl::OkStatus();
}

// The session whose event thread this is.
thread_local const void* t_event_thread_of = nullptr;

}  // namespace

const char* ToString(SessionState state) {
  switch (state) {
    case SessionState::kAwaitingHandoff:
      return "awaiting_handoff";
    case SessionState::kServing:
      return "serving";
    case SessionState::kDraining:
      return "draining";
    case SessionState::kComplete:
      return "complete";
    case SessionState::kFailed:
      return "failed";
  }
  return "?";
}

absl::StatusOr<std::unique_ptr<Session>> Session::Open(
    Options options, std::unique_ptr<PageSource> source) {
  ASSIGN_OR_RETURN(ImageOwners owners, ImageOwners::Of(source->description()));
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  absl::StatusOr<FdListener> listener =
      FdListener::Listen(absl::StrCat(options.work_dir, "/", kSocketName));
  if (!listener.ok()) {
    return absl::Status(
        listener.status().code(),
        absl::StrCat(listener.status().message(),
                     " (the work directory must be there, and writable for ",
                     "the daemon's user)"));
  }
  // Every pid message then tells who sent it: the restored task itself.
  RETURN_IF_ERROR(listener->SetPassCredentials());
  return std::unique_ptr<Session>(
      new Session(std::move(options), std::move(source), std::move(owners),
                  std::move(loop), *std::move(listener)));
}

Session::Session(Options options, std::unique_ptr<PageSource> source,
                 ImageOwners owners, std::unique_ptr<EventLoop> loop,
                 FdListener listener)
    : options_(std::move(options)),
      opened_(absl::Now()),
      source_(std::move(source)),
      owners_(std::move(owners)),
      loop_(std::move(loop)),
      listener_(std::move(listener)) {
  std::vector<Lineage*> lineages;
  for (size_t i = 0; i < source_->description().tasks.size(); ++i) {
    lineages_.push_back(std::make_unique<Lineage>());
    lineages.push_back(lineages_.back().get());
  }
  source_->Start(this);
  sweeper_ = std::make_unique<Sweeper>(
      std::move(lineages),
      [this](ImageRange range) { source_->Fetch(range, Urgency::kPrefetch); },
      [this] { loop_->Post([this] { CheckComplete(); }); });
  thread_ = std::thread([this] {
    t_event_thread_of = this;
    absl::Status watched =
        loop_->Watch(listener_->fd(), [this] { OnConnect(); });
    absl::Status status = watched.ok() ? loop_->Run() : watched;
    CHECK(status.ok()) << "the session's event loop: " << status;
  });
}

Session::~Session() {
  CHECK(LiveSpaces().empty() && !AnyFrozen())
      << "I4: a session with live targets goes away";
  loop_->Stop();
  thread_.join();
  sweeper_->Stop();
  source_->Stop();
}

// --- Hand-off ----------------------------------------------------------------

void Session::OnConnect() {
  absl::StatusOr<FdChannel> channel = listener_->Accept(Wait::kDontWait);
  if (channel.status().code() == absl::StatusCode::kUnavailable) return;
  // One restore, one connection.
  loop_->Unwatch(listener_->fd());
  listener_.reset();
  if (!channel.ok()) {
    AbandonHandoff(channel.status());
    return;
  }
  SetState(SessionState::kServing);
  handoff_.emplace(*std::move(channel));
  absl::Status watched = loop_->Watch(handoff_->fd(), [this] { OnHandoff(); });
  if (!watched.ok()) AbandonHandoff(watched);
  loop_->RunAfter(kHousekeeping, [this] { Housekeeping(); });
}

void Session::OnHandoff() {
  while (handoff_.has_value()) {
    absl::StatusOr<std::vector<HandoffEvent>> events = handoff_->Receive();
    if (!events.ok()) {
      AbandonHandoff(events.status());
      return;
    }
    if (events->empty()) return;
    absl::Status status;
    for (HandoffEvent& event : *events) {
      if (status.ok()) {
        status = Take(event);
      } else {
        Disbelieve(event);
      }
    }
    if (!status.ok()) AbandonHandoff(status);
  }
}

absl::Status Session::Take(HandoffEvent& event) {
  if (TaskArrived* task = std::get_if<TaskArrived>(&event)) {
    return TakeTask(*task);
  }
  if (std::holds_alternative<RestoreFinished>(event)) {
    OnRestoreFinished();
  } else if (std::holds_alternative<RestoreHungUp>(event)) {
    OnRestoreHungUp();
  }
  return absl::OkStatus();  // Zombies have no memory.
}

absl::Status Session::TakeTask(TaskArrived& task) {
  ASSIGN_OR_RETURN(UserfaultFd uffd,
                   UserfaultFd::Adopt(std::move(task.userfaultfd)));
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
    Freeze(std::move(uffd), std::move(pid));
    return status;
  }
  const size_t index =
      static_cast<size_t>(description - source_->description().tasks.data());
  RangeSet regions;
  for (PageRange region : description->lazy_regions) regions.Insert(region);
  LOG(Info) << "task " << task.image_pid << " (pid " << task.host_pid
            << " here): " << map.counts().missing.raw() << " lazy pages";
  auto space = std::make_shared<AddressSpace>(std::move(uffd), std::move(map),
                                              std::move(regions),
                                              std::move(pid), stats_);
  lineage_of_[space.get()] = lineages_[index].get();
  lineages_[index]->Add(space);
  WatchSpace(std::move(space));
  return absl::OkStatus();
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
                     "task does to its "
                     "memory: its userfaultfd lacks ",
                     ToString(lacking)));
  }
  return absl::OkStatus();
}

void Session::Disbelieve(HandoffEvent& event) {
  TaskArrived* task = std::get_if<TaskArrived>(&event);
  if (task == nullptr) return;
  absl::StatusOr<UserfaultFd> uffd =
      UserfaultFd::Adopt(std::move(task->userfaultfd));
  absl::StatusOr<PidFd> pid = PidFd::Open(task->host_pid);
  if (!uffd.ok()) return;
  Freeze(*std::move(uffd),
         pid.ok() ? std::make_optional(*std::move(pid)) : std::nullopt);
}

void Session::Freeze(UserfaultFd uffd, std::optional<PidFd> pid) {
  auto space = std::make_shared<AddressSpace>(
      std::move(uffd), PageMap(), RangeSet(), std::move(pid), stats_);
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
    finished_at_ = absl::Now();
    state_ = SessionState::kDraining;
  }
  LOG(Info) << "restore in " << options_.work_dir << " finished, tasks run";
  sweeper_->Start();
}

void Session::OnRestoreHungUp() {
  if (!finished_) {
    AbandonHandoff(absl::AbortedError(
        "criu restore ended before the tasks were restored; its log says why"));
    return;
  }
  loop_->Unwatch(handoff_->fd());
  handoff_.reset();
}

void Session::AbandonHandoff(const absl::Status& why) {
  LOG(Error) << "restore in " << options_.work_dir << ": " << why.message();
  SetTrouble(std::string(why.message()));
  if (finished_) {
    // The tasks run: nothing that is said on the socket matters any more.
    loop_->Unwatch(handoff_->fd());
    handoff_.reset();
    return;
  }
  if (handoff_.has_value()) {
    // Restore's next message fails, and it kills the tasks it has made. Until
    // they are gone their faults are answered.
    loop_->Unwatch(handoff_->fd());
    handoff_->RefuseMore();
    DrainAbandonedHandoff();
    handoff_.reset();
  }
  SetState(SessionState::kFailed);
  EndIfNothingIsLeft();
}

void Session::DrainAbandonedHandoff() {
  while (true) {
    absl::StatusOr<std::vector<HandoffEvent>> events = handoff_->Receive();
    if (!events.ok() || events->empty()) return;
    for (HandoffEvent& event : *events) Disbelieve(event);
  }
}

// --- Serving -----------------------------------------------------------------

void Session::WatchSpace(std::shared_ptr<AddressSpace> space) {
  absl::Status status =
      loop_->Watch(space->fd(), [this, space] { Serve(space); });
  if (status.ok() && space->pid().has_value()) {
    status =
        loop_->Watch(space->pid()->fd(), [this, space] { OnTaskExit(space); });
  }
  CHECK(status.ok()) << "cannot watch a userfaultfd: " << status;
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
  for (const std::shared_ptr<AddressSpace>& child : children) {
    WatchSpace(child);
    if (child->has_doubts()) ArmRetry(kFirstRetry);
  }
  if (!children.empty()) sweeper_->Nudge();
  return !children.empty();
}

void Session::Serve(const std::shared_ptr<AddressSpace>& space) {
  if (space->closed()) return;
  faults_.clear();
  absl::Status status;
  Adopting(*space, [&](AddressSpace::ForkCallback on_fork) {
    status = space->Drain(&faults_, on_fork);
  });
  stats_.faults.fetch_add(faults_.size(), std::memory_order_relaxed);
  for (const PageFault& fault : faults_) ServeFault(*space, fault.page);
  if (status.ok()) {
    NoteFed(space);
  } else {
    NoteStarved(*space, status);
  }
  if (space->waiting().any_deferred() || space->has_doubts()) {
    ArmRetry(kFirstRetry);
  }
  if (space->gone()) {
    Reap(space);
  } else if (finished_ && space->complete()) {
    // Its last pages may have gone by an event, without an answer.
    loop_->Post([this] { CheckComplete(); });
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

void Session::ServeFault(AddressSpace& space, PageId page) {
  ImagePage image;
  if (space.Resolve(page, &image) != AddressSpace::Answer::kFetch) return;
  stats_.demand_fetches.fetch_add(1, std::memory_order_relaxed);
  sweeper_->NoteRequested(PageCount(1));
  source_->Fetch({image, PageCount(1)}, Urgency::kDemand);
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
    if (space->closed()) continue;
    for (PageId page : space->waiting().Deferred()) ServeFault(*space, page);
    if (space->SettleDoubts()) again = true;
    if (space->waiting().any_deferred()) again = true;
    if (space->gone()) Reap(space);
  }
  sweeper_->Nudge();
  if (again) {
    ArmRetry(retry_backoff_);
  } else if (retry_at_ == absl::InfiniteDuration()) {
    retry_backoff_ = absl::ZeroDuration();
  }
}

void Session::Housekeeping() {
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    space->CheckAlive();
    if (space->gone()) Reap(space);
  }
  BuryFrozen();
  if (!has_ended()) {
    loop_->RunAfter(kHousekeeping, [this] { Housekeeping(); });
  }
}

// --- The end -----------------------------------------------------------------

std::vector<std::shared_ptr<AddressSpace>> Session::LiveSpaces() const {
  std::vector<std::shared_ptr<AddressSpace>> live;
  for (const auto& lineage : lineages_) {
    for (size_t i = 0;
         std::shared_ptr<AddressSpace> space = lineage->NextFrom(i); ++i) {
      if (!space->closed()) live.push_back(std::move(space));
    }
  }
  return live;
}

void Session::Reap(const std::shared_ptr<AddressSpace>& space) {
  if (space->closed()) return;
  UnwatchSpace(*space);
  space->Bury();
  Forget(*space);
  EndIfNothingIsLeft();
}

void Session::Forget(const AddressSpace& space) {
  auto it = lineage_of_.find(&space);
  Lineage* lineage = it->second;
  lineage_of_.erase(it);
  lineage->Remove(space);
}

bool Session::TryDetach(const std::shared_ptr<AddressSpace>& space) {
  bool detached = false;
  UnwatchSpace(*space);
  const bool childless =
      !Adopting(*space, [&](AddressSpace::ForkCallback on_fork) {
        detached = space->Detach(on_fork);
      });
  if (!detached) {
    WatchSpace(space);
    ArmRetry(kSlowestRetry);  // A child that found no free descriptor.
    return false;
  }
  Forget(*space);
  return childless;
}

void Session::CheckComplete() {
  if (!finished_ || has_ended()) return;
  bool all = true;
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    if (space->gone()) {
      Reap(space);
    } else if (!space->complete() || !TryDetach(space)) {
      all = false;
    }
  }
  // What is on its way calls again when it is there.
  if (all) EndIfNothingIsLeft();
}

bool Session::AnyFrozen() const {
  absl::MutexLock lock(&mu_);
  return !frozen_.empty();
}

void Session::EndIfNothingIsLeft() {
  if (has_ended() || !LiveSpaces().empty() || AnyFrozen()) return;
  SessionState state;
  {
    absl::MutexLock lock(&mu_);
    state = state_;
  }
  if (state == SessionState::kFailed) {
    End(SessionState::kFailed);
  } else if (finished_) {
    End(SessionState::kComplete);
  }
}

void Session::End(SessionState state) {
  if (listener_.has_value()) {
    loop_->Unwatch(listener_->fd());
    listener_.reset();
  }
  if (handoff_.has_value()) {
    loop_->Unwatch(handoff_->fd());
    handoff_.reset();
  }
  sweeper_->Stop();
  source_->Stop();
  {
    absl::MutexLock lock(&mu_);
    state_ = state;
    ended_at_ = absl::Now();
    if (state == SessionState::kComplete) trouble_.clear();
    ended_ = true;
  }
  LOG(Info) << "session in " << options_.work_dir << " " << ToString(state)
            << ": " << stats_.faults.load() << " faults, "
            << stats_.pages_installed.load() << " pages installed";
  options_.on_end();
}

absl::Status Session::Cancel() {
  {
    absl::MutexLock lock(&mu_);
    if (ended_) return absl::OkStatus();
    if (state_ != SessionState::kAwaitingHandoff) {
      return absl::FailedPreconditionError(
          "tasks depend on this session: it ends when they have their memory");
    }
  }
  loop_->Post([this] {
    if (has_ended() || !listener_.has_value()) return;
    SetTrouble("cancelled");
    End(SessionState::kFailed);
  });
  return absl::OkStatus();
}

bool Session::has_ended() const {
  absl::MutexLock lock(&mu_);
  return ended_;
}

void Session::WaitUntilEnded() const {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&ended_));
}

void Session::SetState(SessionState state) {
  absl::MutexLock lock(&mu_);
  state_ = state;
}

void Session::SetTrouble(std::string trouble) {
  absl::MutexLock lock(&mu_);
  trouble_ = std::move(trouble);
}

void Session::ClearTrouble(const std::string& trouble) {
  absl::MutexLock lock(&mu_);
  if (trouble_ == trouble) trouble_.clear();
}

SessionSnapshot Session::Snapshot() const {
  SessionSnapshot snapshot;
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    const PageMap::Counts counts = space->counts();
    ++snapshot.address_spaces;
    snapshot.pages_total = snapshot.pages_total + counts.total();
    snapshot.pages_missing =
        snapshot.pages_missing + counts.missing + counts.requested;
  }
  absl::MutexLock lock(&mu_);
  snapshot.state = state_;
  snapshot.trouble =
      trouble_.empty() && !ended_ ? source_->trouble() : trouble_;
  snapshot.age = std::min(ended_at_, absl::Now()) - opened_;
  if (state_ == SessionState::kComplete) {
    snapshot.time_to_complete = ended_at_ - finished_at_;
  }
  return snapshot;
}

// --- Deliveries --------------------------------------------------------------

void Session::OnPages(const PageBatch& batch) {
  owners_.ForEach(batch.range, [&](ImageRange part, size_t task) {
    Deliver(*lineages_[task], part, batch);
  });
  NoteAnswered(batch.range.count);
}

void Session::NoteAnswered(PageCount pages) {
  if (sweeper_->NoteAnswered(pages)) {
    loop_->Post([this] { CheckComplete(); });
  }
}

void Session::Deliver(Lineage& lineage, ImageRange range,
                      const PageBatch& batch) {
  bool given_back = false;
  for (size_t i = 0; std::shared_ptr<AddressSpace> space = lineage.NextFrom(i);
       ++i) {
    ImageRange rest = range;
    while (!rest.empty()) {
      const ImageRange step{rest.first,
                            std::min(rest.count, AddressSpace::kInstallStep)};
      if (!InstallPatiently(*space, step, batch)) given_back = true;
      rest = {step.limit(), rest.count - step.count};
    }
    if (space->has_doubts()) given_back = true;
  }
  if (given_back) loop_->Post([this] { ArmRetry(kFirstRetry); });
}

bool Session::InstallPatiently(AddressSpace& space, ImageRange step,
                               const PageBatch& batch) {
  const PageCount skip = step.first - batch.range.first;
  const bool may_wait = t_event_thread_of != this;
  absl::Duration give_up = absl::InfiniteDuration();
  while (true) {
    switch (space.Install(step, batch.pieces, skip)) {
      case AddressSpace::Outcome::kDone:
        return true;
      case AddressSpace::Outcome::kGone:
        loop_->Post([this] { CheckComplete(); });
        return true;
      case AddressSpace::Outcome::kEventPending:
      case AddressSpace::Outcome::kNoMemory:
        break;
    }
    const absl::Duration now = MonotonicNow();
    if (give_up == absl::InfiniteDuration()) give_up = now + kInstallPatience;
    if (!may_wait || now >= give_up) {
      space.GiveBack(step);
      return false;
    }
    absl::SleepFor(kInstallPause);
  }
}

void Session::OnUnavailable(ImageRange range, const absl::Status& status) {
  const bool lost = status.code() == absl::StatusCode::kDataLoss;
  if (lost) {
    LOG(Error) << "image pages " << range
               << " are lost and will be poisoned: " << status.message();
    SetTrouble(absl::StrCat("pages are lost: ", status.message()));
  }
  owners_.ForEach(range, [&](ImageRange part, size_t task) {
    for (size_t i = 0;
         std::shared_ptr<AddressSpace> space = lineages_[task]->NextFrom(i);
         ++i) {
      if (lost) {
        space->Lose(part);
      } else {
        space->GiveBack(part);
      }
    }
  });
  if (!lost) sweeper_->Pause();
  NoteAnswered(range.count);
  if (!lost) loop_->Post([this] { ArmRetry(kUnavailableRetry); });
}

}  // namespace pagelift
