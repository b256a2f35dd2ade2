#include "daemon/pager/session/address_space.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "daemon/pager/journal/session_journal.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Zero pages are installed up to the next border of this many pages: they cost
// 0.05 µs each where a fault costs a hundred.
constexpr uint64_t kZeroBlock = 64;

// How many full reads of the queue one drain does: a target that makes events
// faster than we read them must not keep the lock for ever.
constexpr int kMaxReads = 64;

constexpr PageRange kEverything{PageId(0),
                                PageCount(~uint64_t{0} >> kPageShift)};

bool IsComplete(const PageMap::Counts& counts) {
  return counts.missing + counts.requested + counts.lost == PageCount(0);
}

// That a process has without asking for more.
constexpr PageRange kAllAddresses{PageId(0), PageCount((1ull << 35) - 1)};

UniqueFd OpenSpare() {
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

AddressSpace::AddressSpace(std::unique_ptr<TargetMemory> memory,
                           SpaceLayout layout, std::optional<PidFd> pid,
                           SessionStats& stats,
                           std::unique_ptr<SpaceJournal> journal)
    : stats_(stats),
      pid_(std::move(pid)),
      fd_(memory->fd()),
      journal_(std::move(journal)),
      buffer_(journal_ == nullptr ? EventBuffer()
                                  : EventBuffer(journal_->raw())),
      memory_(std::move(memory)),
      layout_(std::move(layout)) {
  if (pid_.has_value()) spare_fd_ = OpenSpare();
  layout_.LogTo(journal_.get());
  has_recent_moves_ = layout_.has_recent_moves();
  held_ = journal_ != nullptr && journal_->record().held != 0;
}

void AddressSpace::GoOn(ForkCallback on_fork) {
  absl::WriterMutexLock lock(&mu_);
  const absl::Status status =
      buffer_.Decode(journal_->messages() * kEventMessageSize);
  if (!status.ok()) LOG(Error) << "userfaultfd " << fd_ << ": " << status;
  // The descriptors of children in the journal already are theirs.
  absl::Span<Event> events = buffer_.events();
  const size_t applied = std::min(journal_->applied(), events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    Forked* const forked = std::get_if<Forked>(&events[i]);
    if (forked == nullptr) continue;
    if (i < applied || journal_->session().Has(forked->child.get())) {
      const int theirs = forked->child.release();
      (void)theirs;
    }
  }
  std::vector<PageFault> faults;  // They come again.
  ApplyAllLocked(events, &faults, on_fork);
  WakeAllLocked();
}

void AddressSpace::WakeAllLocked() {
  WakeLocked(kAllAddresses);
  // Where addresses may be larger, a program that wants them to be asks for it.
  for (PageRange region : regions().ranges()) {
    if (kAllAddresses.limit() < region.limit()) WakeLocked(region);
  }
}

// --- Events ------------------------------------------------------------------

absl::Status AddressSpace::Drain(std::vector<PageFault>* faults,
                                 ForkCallback on_fork) {
  absl::WriterMutexLock lock(&mu_);
  return DrainLocked(faults, on_fork);
}

absl::Status AddressSpace::DrainLocked(std::vector<PageFault>* faults,
                                       ForkCallback on_fork) {
  if (memory_ != nullptr) {
    SettleMovesLocked();
    RegisterGrowthAgainLocked();
    CommitLocked();
  }
  for (int reads = 0; memory_ != nullptr && reads < kMaxReads; ++reads) {
    absl::StatusOr<absl::Span<Event>> events = memory_->ReadEvents(buffer_);
    if (!events.ok() &&
        events.status().code() == absl::StatusCode::kResourceExhausted) {
      return events.status();
    }
    if (!events.ok()) {
      // A message that no kernel should send; the others are good.
      LOG(Error) << "userfaultfd " << fd_ << ": " << events.status();
    }
    absl::Span<Event> decoded = events.ok() ? *events : buffer_.events();
    ApplyAllLocked(decoded, faults, on_fork);
    if (events.ok() && decoded.size() < EventBuffer::kMessages) break;
    if (!events.ok() && decoded.empty()) break;
  }
  return absl::OkStatus();
}

void AddressSpace::ApplyAllLocked(absl::Span<Event> events,
                                  std::vector<PageFault>* faults,
                                  ForkCallback on_fork) {
  const size_t applied = journal_ == nullptr ? 0 : journal_->applied();
  for (size_t i = applied; journal_ != nullptr && i < events.size(); ++i) {
    const Forked* const forked = std::get_if<Forked>(&events[i]);
    if (forked != nullptr && forked->child.valid()) {
      journal_->session().KeepChild(forked->child.get());
    }
  }
  bool changed = false;
  for (size_t i = applied; i < events.size(); ++i) {
    Event& event = events[i];
    if (PageFault* fault = std::get_if<PageFault>(&event)) {
      faults->push_back(*fault);
      continue;
    }
    if (Forked* forked = std::get_if<Forked>(&event)) {
      if (forked->child.valid()) ApplyLocked(*forked, on_fork);
    } else if (Remapped* remapped = std::get_if<Remapped>(&event)) {
      ApplyLocked(*remapped);
    } else if (Removed* removed = std::get_if<Removed>(&event)) {
      ApplyLocked(*removed);
    } else if (Unmapped* unmapped = std::get_if<Unmapped>(&event)) {
      ApplyLocked(*unmapped);
    }
    changed = true;
    if (journal_ != nullptr) journal_->CommitEvents(i + 1);
  }
  if (journal_ == nullptr) return;
  journal_->EndBatch();
  if (changed) journal_->Fold(layout_);
}

void AddressSpace::ApplyLocked(Forked& event, ForkCallback on_fork) {
  std::unique_ptr<TargetMemory> memory =
      memory_->OfForkedChild(std::move(event.child));
  SpaceLayout layout = layout_.Fork();
  // Among the children of a process that is not known it cannot be found.
  const bool may_be_found = pid_.has_value() && !pid_->HasExited();
  const bool held = may_be_found && !IsComplete(layout.map().counts());
  std::unique_ptr<SpaceJournal> journal;
  if (journal_ != nullptr) {
    SessionJournal::Space space;
    space.uffd = memory->fd();
    space.task = journal_->record().task;
    space.held = held;
    space.parent_pid = pid_.has_value() ? pid_->pid() : 0;
    journal = journal_->session().Add(space, layout);
    if (journal == nullptr) journal_->session().ForgetChild(space.uffd);
  }
  auto child =
      std::make_shared<AddressSpace>(std::move(memory), std::move(layout),
                                     std::nullopt, stats_, std::move(journal));
  child->InheritDoubts(*this);
  child->held_.store(held, std::memory_order_release);
  on_fork(std::move(child));
  // Whoever sees it counted finds it.
  stats_.forks.fetch_add(1, std::memory_order_release);
}

std::vector<PageRange> AddressSpace::InheritedPages(PageRange range) const {
  std::vector<PageRange> pages;
  absl::ReaderMutexLock lock(&mu_);
  map().ForEachIn(range, PageState::kPresent, [&](const PageMap::Piece& piece) {
    pages.push_back(piece.pages);
  });
  return pages;
}

void AddressSpace::Release(std::optional<PidFd> pid,
                           const std::vector<PageRange>& not_inherited) {
  absl::WriterMutexLock lock(&mu_);
  CHECK(held());
  for (PageRange range : not_inherited) layout_.Erase(range);
  CommitLocked();
  SetProcessLocked(std::move(pid));
  held_.store(false, std::memory_order_release);
}

void AddressSpace::SetProcessLocked(std::optional<PidFd> pid) {
  pid_ = std::move(pid);
  if (pid_.has_value()) spare_fd_ = OpenSpare();
  if (journal_ != nullptr) {
    journal_->SetProcess(pid_.has_value() ? pid_->pid() : 0,
                         pid_.has_value() ? pid_->fd() : -1);
  }
}

void AddressSpace::InheritDoubts(const AddressSpace& parent) {
  // They are requested and nobody will answer: the child would wait for ever.
  absl::MutexLock parents(&parent.doubts_mu_);
  absl::MutexLock ours(&doubts_mu_);
  doubts_ = parent.doubts_;
}

absl::StatusOr<RegisteredRanges> AddressSpace::Mappings() const {
  if (!pid_.has_value() || pid_->HasExited()) {
    return absl::NotFoundError("its process is not known");
  }
  // The child's descriptor may have been the last.
  spare_fd_.reset();
  absl::StatusOr<RegisteredRanges> mappings = memory_->MappingsOf(pid_->pid());
  spare_fd_ = OpenSpare();
  return mappings;
}

// --- Faults ------------------------------------------------------------------

AddressSpace::Answer AddressSpace::Resolve(PageId page, ImagePage* image) {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr || gone()) return Answer::kGone;
  std::optional<PageMap::Location> location = map().Find(page);
  if (!location.has_value()) return ResolveZero(page);
  *image = location->image;
  switch (location->state) {
    case PageState::kMissing:
    case PageState::kRequested: {
      const bool ask = waiting_.Demand(page, absl::Now());
      const bool late = location->state == PageState::kRequested;
      map().Transition(page, PageState::kMissing, PageState::kRequested);
      // An installer may have come between: it marks first and looks for
      // waiting faults after, we enter the fault first and look at the mark
      // after.
      location = map().Find(page);
      if (location->state != PageState::kRequested) {
        waiting_.Forget(OnePage(page));
        WakeLocked(OnePage(page));
        return Answer::kAnswered;
      }
      if (!ask) return Answer::kOnItsWay;
      if (!late) return Answer::kFetch;
      stats_.late_faults.fetch_add(1, std::memory_order_relaxed);
      return Answer::kFetchSooner;
    }
    case PageState::kPresent:
      // Mostly an old message. But a page that was installed and is missing
      // again without an event (a guard region that came and went) reads as
      // zeros, and the kernel refuses a zero page where a page is.
      return AnswerOutcome(page, memory_->Zero(OnePage(page), WakeMode::kWake));
    case PageState::kLost:
      return AnswerOutcome(page,
                           memory_->Poison(OnePage(page), WakeMode::kWake));
  }
  return Answer::kAnswered;
}

AddressSpace::Answer AddressSpace::ResolveEarly(PageId page, ImagePage* image) {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr || gone()) return Answer::kGone;
  std::optional<PageMap::Location> location = map().Find(page);
  if (!location.has_value() || location->state != PageState::kMissing) {
    return Answer::kAnswered;
  }
  if (memory_->Probe(page) != Registration::kRegistered)
    return Answer::kDeferred;
  *image = location->image;
  return map().Transition(page, PageState::kMissing, PageState::kRequested)
             ? Answer::kFetch
             : Answer::kOnItsWay;
}

AddressSpace::Answer AddressSpace::ResolveZero(PageId page) {
  const PageId block_limit((page.raw() / kZeroBlock + 1) * kZeroBlock);
  const PageRange region = regions().RangeAround(page).Intersect(
      PageRange::Between(page, block_limit));
  PageRange zero = OnePage(page);
  if (region.Contains(page)) zero = map().UncoveredAround(page, region);
  InstallResult result = memory_->Zero(zero, WakeMode::kWake);
  if (result.outcome == InstallResult::Outcome::kRangeGone &&
      PageCount(1) < zero.count) {
    // Perhaps only a border between two mappings.
    result = memory_->Zero(OnePage(page), WakeMode::kWake);
  }
  stats_.pages_zeroed.fetch_add(result.installed.raw(),
                                std::memory_order_relaxed);
  return AnswerOutcome(page, result);
}

AddressSpace::Answer AddressSpace::AnswerOutcome(PageId page,
                                                 const InstallResult& result) {
  using Installing = InstallResult::Outcome;
  switch (result.outcome) {
    case Installing::kInstalled:
    case Installing::kInterrupted:
      break;
    case Installing::kAlreadyPresent:
    case Installing::kRangeGone:
      // Present: nobody was woken. Gone: the thread finds out for itself.
      WakeLocked(OnePage(page));
      break;
    case Installing::kTargetGone:
      MarkGone();
      return Answer::kGone;
    case Installing::kFailed:
    case Installing::kSourceFault:
      LOG(Error) << "fault at " << page << ": " << result;
      [[fallthrough]];
    case Installing::kEventPending:
    case Installing::kNoMemory:
      waiting_.Defer(page, absl::Now());
      return Answer::kDeferred;
  }
  if (!waiting_.empty()) {
    waiting_.Answered(
        OnePage(page),
        [this](absl::Duration d) { stats_.fault_latency.Record(d); },
        absl::Now());
  }
  return Answer::kAnswered;
}
// --- The end -----------------------------------------------------------------

PageMap::Counts AddressSpace::counts() const {
  absl::ReaderMutexLock lock(&mu_);
  return map().counts();
}

bool AddressSpace::complete() const { return !held() && IsComplete(counts()); }

bool AddressSpace::Detach(ForkCallback on_fork) {
  absl::WriterMutexLock lock(&mu_);
  if (memory_ == nullptr) return true;
  std::vector<PageFault> faults;  // All woken below.
  if (!DrainLocked(&faults, on_fork).ok()) return false;
  if (!IsComplete(map().counts())) return false;
  for (PageRange region : regions().ranges()) {
    // Fails where nothing is mapped any more, which is as good.
    absl::Status ignored = memory_->Unregister(region);
    WakeLocked(region);
  }
  CloseLocked();
  return true;
}

void AddressSpace::CloseLocked() {
  // If we die over it, the descriptor is not taken for one that matters.
  if (journal_ != nullptr) journal_->BeginClosing();
  memory_.reset();
  if (journal_ != nullptr) {
    layout_.LogTo(nullptr);
    journal_->EndClosing();
  }
  waiting_.Forget(kEverything);
  closed_.store(true, std::memory_order_release);
}

void AddressSpace::Bury() {
  absl::WriterMutexLock lock(&mu_);
  CHECK(gone()) << "I4: closing the userfaultfd of a target that lives";
  CloseLocked();
  layout_ = SpaceLayout();
}

void AddressSpace::CheckAlive() {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr) return;
  if (memory_->Probe(kAnyPage) == Registration::kTargetGone) MarkGone();
}

}  // namespace pagelift
