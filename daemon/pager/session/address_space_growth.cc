// Growth: locked memory that mremap(2) has moved and made larger.
//
// Linux wants the new pages before it sends the events of the move, and refuses
// to install any before those are read. What takes the faults away without an
// install is another kind of registration: the kernel then fills the pages with
// the zeros that belong there. The memory stays registered, so its events keep
// coming.

#include <poll.h>

#include <algorithm>

#include "absl/time/time.h"
#include "daemon/pager/session/address_space.h"
#include "daemon/pager/session/memory_owner.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// All threads of the machine are looked at.
constexpr absl::Duration kSearchEvery = absl::Milliseconds(200);

bool HasMessages(int fd) {
  pollfd asked = {fd, POLLIN, 0};
  return poll(&asked, 1, 0) == 1;
}

// Populating is what the kernel does to locked memory only.
bool MayBePopulated(PageRange range, const RegisteredRanges& mappings) {
  return std::any_of(mappings.mappings().begin(), mappings.mappings().end(),
                     [range](const Mapping& mapping) {
                       return mapping.locked && mapping.registered_missing &&
                              mapping.pages.Contains(range);
                     });
}

}  // namespace

void AddressSpace::FindProcess() {
  if (MonotonicNow() < next_search_) return;
  std::optional<PidFd> found = FindOwner(
      [this] {
        absl::ReaderMutexLock lock(&mu_);
        if (memory_ != nullptr) WakeAllLocked();
      },
      ThreadsInStuckMremaps());
  next_search_ = MonotonicNow() + kSearchEvery;
  if (!found.has_value()) return;
  absl::WriterMutexLock lock(&mu_);
  if (memory_ != nullptr) SetProcessLocked(std::move(found));
}

absl::Status AddressSpace::FreeStuckGrowth() {
  {
    // Far cheaper than to look at all threads.
    absl::ReaderMutexLock lock(&mu_);
    if (memory_ == nullptr ||
        memory_->Probe(kAnyPage) != Registration::kEventPending) {
      return absl::OkStatus();
    }
  }
  if (!pid_.has_value()) FindProcess();
  if (!pid_.has_value() || pid_->HasExited()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<StuckMremap> calls,
                   FindStuckMremaps(pid_->pid()));
  if (calls.empty()) return absl::OkStatus();
  absl::WriterMutexLock lock(&mu_);
  if (memory_ == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(RegisteredRanges mappings, Mappings());
  // A queued event may be about any of this.
  if (HasMessages(fd_) ||
      memory_->Probe(kAnyPage) != Registration::kEventPending) {
    return absl::OkStatus();
  }
  for (const StuckMremap& call : calls) {
    for (PageRange grown : GrownBy(call, mappings)) {
      layout_.Insert(Set::kGrowing, grown);
      CommitLocked();
      absl::StatusOr<OperationSet> registered =
          memory_->Register(grown, FaultKind::kWriteProtect);
      if (!registered.ok()) {
        LOG(Error) << "freeing " << grown << ": " << registered.status();
        continue;
      }
      LOG(Debug) << "a thread grows locked memory to " << grown;
      waiting_.Forget(grown);
      WakeLocked(grown);
    }
  }
  return absl::OkStatus();
}

std::vector<PageRange> AddressSpace::GrownBy(
    const StuckMremap& call, const RegisteredRanges& mappings) const {
  if (call.to.has_value()) {
    const PageRange grown = call.GrownAt(*call.to);
    if (!MayBePopulated(grown, mappings)) return {};
    return {grown};
  }
  // Wherever somebody waits for the first page of such a growth: populating
  // goes upwards. Nothing was mapped there before, and no event has told of
  // anything.
  std::vector<PageRange> grown;
  for (PageId page : waiting_.Deferred()) {
    if (page.raw() < call.from.count.raw()) continue;
    const PageRange all{page - call.from.count, call.new_count};
    if (map().UncoveredAround(page, all) == all &&
        MayBePopulated(all, mappings)) {
      grown.push_back(call.GrownAt(all.first));
    }
  }
  return grown;
}

void AddressSpace::RegisterGrowthAgainLocked() {
  // An event of such a move means that the kernel is through with its pages.
  // Before the event is read: afterwards the thread goes on, and another move
  // of all its memory would fail at the border between the registrations. If it
  // was another's event, the thread waits once more.
  const RangeSet& growing = layout_.set(Set::kGrowing);
  if (growing.empty() || !HasMessages(fd_)) return;
  for (PageRange range : growing.ranges()) {
    // Fails where another thread has unmapped it.
    absl::StatusOr<OperationSet> registered =
        memory_->Register(range, FaultKind::kMissing);
    if (!registered.ok()) {
      LOG(Debug) << "registering " << range << ": " << registered.status();
    }
  }
  layout_.Clear(Set::kGrowing);
}

}  // namespace pagelift
