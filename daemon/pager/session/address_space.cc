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

// How many moves to places of which we know nothing are remembered.
constexpr size_t kMostMoves = 256;

constexpr PageRange kEverything{PageId(0),
                                PageCount(~uint64_t{0} >> kPageShift)};

// `ranges` without `cut`.
std::vector<PageRange> Without(const std::vector<PageRange>& ranges,
                               PageRange cut) {
  std::vector<PageRange> rest;
  for (PageRange range : ranges) {
    if (!range.Overlaps(cut)) {
      rest.push_back(range);
      continue;
    }
    for (PageRange part : {PageRange::Between(range.first, cut.first),
                           PageRange::Between(cut.limit(), range.limit())}) {
      if (!part.empty()) rest.push_back(part);
    }
  }
  return rest;
}

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
                           const std::vector<PageRange>& wiped) {
  absl::WriterMutexLock lock(&mu_);
  CHECK(held());
  for (PageRange range : wiped) map_.Erase(range);
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

void AddressSpace::ApplyLocked(const Remapped& event) {
  stats_.remaps.fetch_add(1, std::memory_order_relaxed);
  if (event.from.empty()) return;
  const PageRange to{event.to, event.from.count};
  // What made room for this was no older event after all. It covers the tail,
  // too, by which the mapping has grown.
  for (const Disregarded& unmap : std::exchange(disregarded_, {})) {
    if (unmap.first == to.first) {
      map_.Erase(unmap.part);
      waiting_.Forget(unmap.part);
      WakeLocked(unmap.part);
    } else {
      disregarded_.push_back(unmap);
    }
  }
  MakeRoomLocked(to);
  MoveLocked(event.from, event.to);
  // The old place stays registered until its unmap event, which does not come
  // after MREMAP_DONTUNMAP.
  regions_.Insert(to);
  has_recent_moves_.store(true, std::memory_order_release);
  for (PageRange range : {event.from, to}) {
    waiting_.Forget(range);
    WakeLocked(range);
  }
}

void AddressSpace::MakeRoomLocked(PageRange to) {
  std::vector<PageRange> nothing_was = {to};
  for (PageRange was : regions_.Intersect(to)) {
    unmaps_due_.Insert(was);
    // What was moved away by an event that we know cannot be moved once more.
    std::vector<PageRange> unexplained = {was};
    for (PageRange part : vacated_.Intersect(was)) {
      unexplained = Without(unexplained, part);
    }
    for (PageRange part : unexplained) {
      map_.Move(part.first, part.first + kAside, part.count);
      displaced_.Insert(part);
    }
    nothing_was = Without(nothing_was, was);
  }
  vacated_.Erase(to);
  for (PageRange part : nothing_was) {
    // A target may make any number of them.
    if (moved_in_.size() == kMostMoves) moved_in_.erase(moved_in_.begin());
    moved_in_.push_back({part, to.first});
  }
  map_.Erase(to);
}

void AddressSpace::MoveLocked(PageRange from, PageId to) {
  const auto move = [&](PageRange part, PageCount aside) {
    mu_.AssertHeld();
    map_.Move(part.first + aside, to + (part.first - from.first), part.count);
  };
  std::vector<PageRange> still_there = {from};
  const std::vector<PageRange> displaced = DisplacedIn(from);
  for (PageRange part : displaced) {
    move(part, kAside);
    displaced_.Erase(part);
    still_there = Without(still_there, part);
  }
  // An event moves one mapping, and not also one that has been moved into the
  // middle of where it was.
  const bool is_older = !displaced.empty();
  const auto matters = [&](const MovedIn& moved) {
    return is_older || from.first < moved.mapping;
  };
  for (PageRange part : StillMovedIn(from, matters, is_older)) {
    still_there = Without(still_there, part);
  }
  for (PageRange part : still_there) {
    move(part, PageCount(0));
    vacated_.Insert(part);
  }
}

void AddressSpace::ApplyLocked(const Removed& event) {
  stats_.removes.fetch_add(1, std::memory_order_relaxed);
  map_.Erase(event.range);
  waiting_.Forget(event.range);
  WakeLocked(event.range);
}

void AddressSpace::ApplyLocked(const Unmapped& event) {
  stats_.unmaps.fetch_add(1, std::memory_order_relaxed);
  disregarded_.erase(std::remove_if(disregarded_.begin(), disregarded_.end(),
                                    [&](const Disregarded& d) {
                                      return d.part.Overlaps(event.range);
                                    }),
                     disregarded_.end());
  // One thread's unmap event may come after another thread's remap to the same
  // place: it is then about what lay there before.
  RangeSet gone;
  gone.Insert(event.range);
  // This is what follows a remap that was read: nothing is there.
  for (PageRange range : vacated_.Intersect(event.range)) {
    DropLocked(range);
    gone.Erase(range);
  }
  vacated_.Erase(event.range);
  for (PageRange range : unmaps_due_.Intersect(event.range)) {
    for (PageRange due : gone.Intersect(range)) {
      unmaps_due_.Erase(due);
      ForgetDisplacedLocked(due);
      gone.Erase(due);
    }
  }
  for (PageRange range : gone.ranges()) {
    // Kept too long, an extent of unmapped pages harms nobody: its pages answer
    // "no such mapping" and are let go. Dropped wrongly, data would read as
    // zeros.
    const auto all = [](const MovedIn&) { return true; };
    for (PageRange part : StillMovedIn(range, all, true)) {
      gone.Erase(part);
      disregarded_.push_back({event.range.first, part});
    }
  }
  for (PageRange range : gone.ranges()) DropLocked(range);
  WakeLocked(event.range);
}

void AddressSpace::DropLocked(PageRange range) {
  map_.Erase(range);
  regions_.Erase(range);
  std::vector<MovedIn> rest;
  for (const MovedIn& moved : moved_in_) {
    for (PageRange part : Without({moved.pages}, range)) {
      rest.push_back({part, moved.mapping});
    }
  }
  moved_in_ = std::move(rest);
  waiting_.Forget(range);
}

std::vector<PageRange> AddressSpace::StillMovedIn(
    PageRange range, absl::FunctionRef<bool(const MovedIn&)> matters,
    bool otherwise) const {
  std::vector<MovedIn> moved_in;
  for (const MovedIn& moved : moved_in_) {
    if (moved.pages.Overlaps(range) && matters(moved)) {
      moved_in.push_back(moved);
    }
  }
  if (moved_in.empty()) return {};
  absl::StatusOr<RegisteredRanges> mappings = Mappings();
  std::vector<PageRange> still;
  for (const MovedIn& moved : moved_in) {
    const PageRange part = moved.pages.Intersect(range);
    if (!mappings.ok()) {
      if (otherwise) still.push_back(part);
      continue;
    }
    for (const Mapping& mapping : mappings->mappings()) {
      // One that begins before has grown to here since.
      if (!mapping.registered() || mapping.pages.first < moved.mapping) {
        continue;
      }
      const PageRange there = mapping.pages.Intersect(part);
      if (!there.empty()) still.push_back(there);
    }
  }
  return still;
}

std::vector<PageRange> AddressSpace::DisplacedIn(PageRange range) const {
  const std::vector<PageRange> displaced = displaced_.Intersect(range);
  if (displaced.empty()) return {};
  // If what was moved in has left by events that we know, or is still there
  // now, the event is not about that.
  absl::StatusOr<RegisteredRanges> mappings = Mappings();
  RangeSet moved_on;
  for (PageRange part : displaced) moved_on.Insert(part);
  for (PageRange part : displaced) {
    std::vector<PageRange> there = regions_.Intersect(part);
    for (PageRange left : vacated_.Intersect(part))
      there = Without(there, left);
    RangeSet known_there;
    for (PageRange here : there) known_there.Insert(here);
    if (mappings.ok()) {
      for (PageRange here : mappings->RegisteredIn(part)) {
        known_there.Erase(here);
      }
    } else {
      known_there = RangeSet();
    }
    for (PageRange newer : known_there.ranges()) moved_on.Erase(newer);
  }
  return moved_on.ranges();
}

void AddressSpace::ForgetDisplacedLocked(PageRange range) {
  for (PageRange part : displaced_.Intersect(range)) {
    map_.Erase({part.first + kAside, part.count});
  }
  displaced_.Erase(range);
}

void AddressSpace::SettleMovesLocked() {
  if (moved_in_.empty() && unmaps_due_.empty()) return;
  const Registration registration = memory_->Probe(kAnyPage);
  if (registration != Registration::kRegistered &&
      registration != Registration::kNotRegistered) {
    return;
  }
  // No event is under way, so every one that is older than the remaps we know
  // was read.
  moved_in_.clear();
  unmaps_due_ = RangeSet();
  vacated_ = RangeSet();
  while (!displaced_.empty()) {
    ForgetDisplacedLocked(displaced_.ranges().front());
  }
  disregarded_.clear();
  has_recent_moves_.store(false, std::memory_order_release);
}

// --- Faults ------------------------------------------------------------------

AddressSpace::Answer AddressSpace::Resolve(PageId page, ImagePage* image) {
  last_fault_.store(page.raw(), std::memory_order_relaxed);
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr || gone()) return Answer::kGone;
  std::optional<PageMap::Location> location = map_.Find(page);
  if (!location.has_value()) return ResolveZero(page);
  *image = location->image;
  switch (location->state) {
    case PageState::kMissing:
    case PageState::kRequested: {
      const bool ask = waiting_.Demand(page, absl::Now());
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
      return ask ? Answer::kFetch : Answer::kOnItsWay;
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
