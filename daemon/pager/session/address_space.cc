#include "daemon/pager/session/address_space.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

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

UniqueFd OpenSpare() {
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

AddressSpace::AddressSpace(std::unique_ptr<TargetMemory> memory, PageMap map,
                           RangeSet regions, std::optional<PidFd> pid,
                           SessionStats& stats)
    : stats_(stats),
      pid_(std::move(pid)),
      fd_(memory->fd()),
      memory_(std::move(memory)),
      map_(std::move(map)),
      regions_(std::move(regions)) {
  if (pid_.has_value()) spare_fd_ = OpenSpare();
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
    for (Event& event : decoded) {
      if (PageFault* fault = std::get_if<PageFault>(&event)) {
        faults->push_back(*fault);
      } else if (Forked* forked = std::get_if<Forked>(&event)) {
        ApplyLocked(*forked, on_fork);
      } else if (Remapped* remapped = std::get_if<Remapped>(&event)) {
        ApplyLocked(*remapped);
      } else if (Removed* removed = std::get_if<Removed>(&event)) {
        ApplyLocked(*removed);
      } else if (Unmapped* unmapped = std::get_if<Unmapped>(&event)) {
        ApplyLocked(*unmapped);
      }
    }
    if (events.ok() && decoded.size() < EventBuffer::kMessages) break;
    if (!events.ok() && decoded.empty()) break;
  }
  return absl::OkStatus();
}

void AddressSpace::ApplyLocked(Forked& event, ForkCallback on_fork) {
  stats_.forks.fetch_add(1, std::memory_order_relaxed);
  std::unique_ptr<TargetMemory> memory =
      memory_->OfForkedChild(std::move(event.child));
  PageMap map = map_.Fork();
  for (PageRange part : displaced_.ranges()) {
    map.Erase({part.first + kAside, part.count});
  }
  auto child = std::make_shared<AddressSpace>(std::move(memory), std::move(map),
                                              regions_, std::nullopt, stats_);
  child->InheritDoubts(*this);
  // Among the children of a process that is not known it cannot be found.
  const bool may_be_found = pid_.has_value() && !pid_->HasExited();
  child->held_.store(may_be_found && !child->complete(),
                     std::memory_order_release);
  on_fork(std::move(child));
}

std::vector<PageRange> AddressSpace::InheritedPages(PageRange range) const {
  std::vector<PageRange> pages;
  absl::ReaderMutexLock lock(&mu_);
  map_.ForEachIn(range, PageState::kPresent, [&](const PageMap::Piece& piece) {
    pages.push_back(piece.pages);
  });
  return pages;
}

void AddressSpace::Release(std::optional<PidFd> pid,
                           const std::vector<PageRange>& not_inherited) {
  absl::WriterMutexLock lock(&mu_);
  CHECK(held());
  for (PageRange range : not_inherited) map_.Erase(range);
  pid_ = std::move(pid);
  if (pid_.has_value()) spare_fd_ = OpenSpare();
  held_.store(false, std::memory_order_release);
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
  std::optional<PageMap::Location> location = map_.Find(page);
  if (!location.has_value()) return ResolveZero(page);
  *image = location->image;
  switch (location->state) {
    case PageState::kMissing:
    case PageState::kRequested: {
      const bool ask = waiting_.Demand(page, absl::Now());
      const bool late = location->state == PageState::kRequested;
      map_.Transition(page, PageState::kMissing, PageState::kRequested);
      // An installer may have come between: it marks first and looks for
      // waiting faults after, we enter the fault first and look at the mark
      // after.
      location = map_.Find(page);
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
  std::optional<PageMap::Location> location = map_.Find(page);
  if (!location.has_value() || location->state != PageState::kMissing) {
    return Answer::kAnswered;
  }
  if (memory_->Probe(page) != Registration::kRegistered)
    return Answer::kDeferred;
  *image = location->image;
  return map_.Transition(page, PageState::kMissing, PageState::kRequested)
             ? Answer::kFetch
             : Answer::kOnItsWay;
}

AddressSpace::Answer AddressSpace::ResolveZero(PageId page) {
  const PageId block_limit((page.raw() / kZeroBlock + 1) * kZeroBlock);
  const PageRange region = regions_.RangeAround(page).Intersect(
      PageRange::Between(page, block_limit));
  PageRange zero = OnePage(page);
  if (region.Contains(page)) zero = map_.UncoveredAround(page, region);
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
  return map_.counts();
}

bool AddressSpace::complete() const {
  if (held()) return false;
  const PageMap::Counts counts = this->counts();
  return counts.missing + counts.requested + counts.lost == PageCount(0);
}

bool AddressSpace::Detach(ForkCallback on_fork) {
  absl::WriterMutexLock lock(&mu_);
  if (memory_ == nullptr) return true;
  std::vector<PageFault> faults;  // All woken below.
  if (!DrainLocked(&faults, on_fork).ok()) return false;
  const PageMap::Counts counts = map_.counts();
  if (counts.missing + counts.requested + counts.lost != PageCount(0)) {
    return false;
  }
  for (PageRange region : regions_.ranges()) {
    // Fails where nothing is mapped any more, which is as good.
    absl::Status ignored = memory_->Unregister(region);
    WakeLocked(region);
  }
  memory_.reset();
  waiting_.Forget(kEverything);
  closed_.store(true, std::memory_order_release);
  return true;
}

void AddressSpace::Bury() {
  absl::WriterMutexLock lock(&mu_);
  CHECK(gone()) << "I4: closing the userfaultfd of a target that lives";
  memory_.reset();
  map_ = PageMap();
  waiting_.Forget(kEverything);
  closed_.store(true, std::memory_order_release);
}

void AddressSpace::CheckAlive() {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr) return;
  if (memory_->Probe(kAnyPage) == Registration::kTargetGone) MarkGone();
}

}  // namespace pagelift
