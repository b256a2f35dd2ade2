#include "daemon/pager/session/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/thread_name.h"
#include "lib/prefetch/mix.h"

namespace pagelift {
namespace {

// Events that may come at once, after a while without: so many seconds' worth.
constexpr absl::Duration kEventsSavedUp = absl::Seconds(1);
// Each is asked for by itself, and its mapping is looked for until it is there.
constexpr size_t kMostBeforeItRuns = 64;

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

absl::StatusOr<std::unique_ptr<Session>> Session::Make(
    Options options, std::unique_ptr<PageSource> source,
    std::optional<FdListener> listener, std::unique_ptr<SessionJournal> journal,
    bool resumed) {
  ASSIGN_OR_RETURN(ImageOwners owners, ImageOwners::Of(source->description()));
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  return std::unique_ptr<Session>(new Session(
      std::move(options), std::move(source), std::move(owners), std::move(loop),
      std::move(listener), std::move(journal), resumed));
}

absl::StatusOr<std::unique_ptr<Session>> Session::Open(
    Options options, std::unique_ptr<PageSource> source,
    std::unique_ptr<SessionJournal> journal) {
  if (journal == nullptr) {
    ASSIGN_OR_RETURN(journal,
                     SessionJournal::Create(source->description().page_count));
  }
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
  return Make(std::move(options), std::move(source), *std::move(listener),
              std::move(journal), /*resumed=*/false);
}

Session::Session(Options options, std::unique_ptr<PageSource> source,
                 ImageOwners owners, std::unique_ptr<EventLoop> loop,
                 std::optional<FdListener> listener,
                 std::unique_ptr<SessionJournal> journal, bool resumed)
    : options_(std::move(options)),
      journal_(std::move(journal)),
      record_(journal_->record()),
      stats_(StatsOf(*journal_)),
      source_(std::move(source)),
      owners_(std::move(owners)),
      loop_(std::move(loop)),
      listener_(std::move(listener)),
      events_(options_.limits.events_per_second, kEventsSavedUp),
      last_arrival_(absl::ToInt64Nanoseconds(MonotonicNow())),
      last_moved_(last_arrival_.load()),
      recording_first_(options_.record && !resumed) {
  if (!resumed) record_.opened_ns = absl::GetCurrentTimeNanos();
  if (listener_.has_value()) journal_->SetListener(listener_->fd());
  state_ = SnapshotOf(*journal_).state;
  trouble_ = record_.trouble.Get();
  std::vector<Lineage*> lineages;
  for (size_t i = 0; i < source_->description().tasks.size(); ++i) {
    lineages_.push_back(std::make_unique<Lineage>());
    lineages.push_back(lineages_.back().get());
  }
  Prefetcher::Options prefetch;
  prefetch.lineages = std::move(lineages);
  prefetch.policy = [this](size_t task, size_t place) {
    return NewPolicy(task, place);
  };
  prefetch.fetch = [this](absl::Span<const ImageRange> ranges) {
    source_->FetchAll(ranges, Urgency::kPrefetch);
  };
  prefetch.on_nothing_left = [this] { PostCheckComplete(); };
  prefetch.mode = recording_first_ ? PrefetchMode{PrefetchMode::Kind::kOff, 0}
                                   : options_.prefetch;
  record_.prefetch.Set(ToString(options_.prefetch));
  prefetch.first_window = options_.first_window;
  prefetcher_ = std::make_unique<Prefetcher>(std::move(prefetch));
  LearnWorkingSet();
  // It would not tell what was touched first.
  if (resumed) recorder_.reset();
  loop_->SpinFor(options_.spin);
  source_->DeliverOn(loop_.get());
  source_->Start(this);
  thread_ = std::thread([this, resumed] {
    NameThisThread("pl-events");
    t_event_thread_of = this;
    absl::Status status;
    if (listener_.has_value()) {
      status = loop_->Watch(listener_->fd(), [this] { OnConnect(); });
    }
    if (resumed) TakeOver();
    if (status.ok()) status = loop_->Run();
    CHECK(status.ok()) << "the session's event loop: " << status;
  });
}

void Session::LearnWorkingSet() {
  touched_before_.resize(source_->description().tasks.size());
  const absl::StatusOr<Recording> known = source_->WorkingSet();
  if (options_.record || absl::IsNotFound(known.status())) {
    recorder_.emplace(*source_, options_.record);
  }
  if (!known.ok()) {
    // An older server knows of none.
    if (!absl::IsNotFound(known.status()) &&
        !absl::IsUnimplemented(known.status())) {
      LOG(Warning) << "what earlier restores touched is not known: "
                   << known.status().message();
    }
    return;
  }
  for (ImageRange run : known->runs()) {
    owners_.ForEach(run, [this](ImageRange part, size_t task) {
      for (ImagePage page = part.first; page < part.limit();
           page = page + PageCount(1)) {
        touched_before_[task].push_back(page);
      }
    });
  }
  LOG(Info) << "an earlier restore touched " << known->page_count();
}

std::unique_ptr<PrefetchPolicy> Session::NewPolicy(size_t task,
                                                   size_t place) const {
  // A child shares its parent's pages, for which its parent is asked.
  return std::make_unique<Mix>(place == 0 ? touched_before_[task]
                                          : std::vector<ImagePage>());
}

std::vector<PageId> Session::LikelyFirst(size_t task,
                                         const PageMap& map) const {
  std::vector<PageId> pages;
  if (!(options_.prefetch == PrefetchMode()) || options_.record) return pages;
  for (ImagePage page : touched_before_[task]) {
    if (pages.size() == kMostBeforeItRuns) break;
    map.ForEachTarget({page, PageCount(1)}, PageState::kMissing,
                      [&pages](const PageMap::Piece& piece) {
                        pages.push_back(piece.pages.first);
                      });
  }
  return pages;
}

absl::Duration Session::LastMoved() {
  if (!asked_to_move_.exchange(true)) {
    loop_->Post([this] {
      last_moved_ = absl::ToInt64Nanoseconds(MonotonicNow());
      asked_to_move_ = false;
    });
  }
  return absl::Nanoseconds(last_moved_.load());
}

void Session::SetPrefetch(PrefetchMode mode) {
  {
    absl::MutexLock lock(&mu_);
    record_.prefetch.Set(ToString(mode));
  }
  recording_first_ = false;
  prefetcher_->SetMode(mode);
}

void Session::CheckRecording() {
  if (!recorder_.has_value() || !finished_) return;
  bool waiting = false;
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    if (!space->waiting().empty()) waiting = true;
  }
  if (!recorder_->CheckSettled(MonotonicNow(), waiting)) return;
  if (recording_first_.exchange(false)) prefetcher_->SetMode(options_.prefetch);
}

bool Session::OnEventThread() const { return t_event_thread_of == this; }

Session::~Session() {
  CHECK(LiveSpaces().empty() && !AnyFrozen())
      << "I4: a session with live targets goes away";
  loop_->Stop();
  thread_.join();
  prefetcher_->Stop();
  source_->Stop();
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
  CheckInvariants(space);  // For the last time.
  checkers_.erase(&space);
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
  CloseListener();
  CloseHandoff();
  prefetcher_->Stop();
  source_->Stop();
  if (recorder_.has_value()) recorder_->End();
  {
    absl::MutexLock lock(&mu_);
    state_ = state;
    // What was lost stays lost, even if nobody is left who misses it.
    if (state == SessionState::kComplete && stats_.pages_lost == 0) {
      trouble_.clear();
    }
    record_.trouble.Set(trouble_);
    record_.failed = state == SessionState::kFailed ? 1 : 0;
    record_.ended_ns = absl::GetCurrentTimeNanos();
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
  if (state == SessionState::kFailed) record_.failed = 1;
}

void Session::SetTrouble(std::string trouble) {
  absl::MutexLock lock(&mu_);
  trouble_ = std::move(trouble);
  record_.trouble.Set(trouble_);
}

void Session::ClearTrouble(const std::string& trouble) {
  absl::MutexLock lock(&mu_);
  if (trouble_ != trouble) return;
  trouble_.clear();
  record_.trouble.Set(trouble_);
}

SessionSnapshot Session::Snapshot() const {
  SessionSnapshot snapshot;
  {
    absl::MutexLock lock(&mu_);
    snapshot = SnapshotOf(*journal_);
  }
  for (const std::shared_ptr<AddressSpace>& space : LiveSpaces()) {
    const PageMap::Counts counts = space->counts();
    ++snapshot.address_spaces;
    snapshot.pages_total = snapshot.pages_total + counts.total();
    snapshot.pages_missing =
        snapshot.pages_missing + counts.missing + counts.requested;
  }
  snapshot.prefetch = prefetcher_->mode();
  absl::MutexLock lock(&mu_);
  snapshot.state = state_;
  snapshot.trouble =
      trouble_.empty() && !ended_ ? source_->trouble() : trouble_;
  return snapshot;
}

}  // namespace pagelift
