#ifndef PAGELIFT_DAEMON_PAGER_SESSION_ADDRESS_SPACE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_ADDRESS_SPACE_H_

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pager/journal/space_journal.h"
#include "daemon/pager/layout/space_layout.h"
#include "daemon/pager/session/invariants.h"
#include "daemon/pager/session/page_cursor.h"
#include "daemon/pager/session/session_stats.h"
#include "daemon/pager/session/target_memory.h"
#include "daemon/pager/session/waiting_faults.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/range_set.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/process/pidfd.h"
#include "lib/process/registered_ranges.h"
#include "lib/process/stuck_mremap.h"
#include "lib/uffd/event.h"

namespace pagelift {

// One address space that is being filled: its userfaultfd and the page map that
// is kept true while the target forks, remaps, discards and unmaps.
//
// The rule that everything rests on: whether a page is still wanted and the
// system call that installs it are one step against the events. So installers
// hold `mu_` shared around look-up, ioctl and mark, at most 64 KiB a time; the
// event thread holds it exclusively around reading the messages and applying
// them, because it is the read that lets the target go on.
//
// Invariants (docs/design.md): I1 no page is installed twice with different
// contents, and none as zero because of an error; I2 no image byte goes into a
// range after its remove or unmap event was read; I3 every fault that was read
// is answered; I4 the userfaultfd is closed only when no page is missing,
// requested or lost, or the target is gone.
//
// Thread-safe. Drain() and Resolve() are for the session's event thread only.
class AddressSpace : public MissingPages {
 public:
  using ForkCallback =
      absl::FunctionRef<void(std::shared_ptr<AddressSpace> child)>;

  // What became of a fault.
  enum class Answer {
    kAnswered,     // The thread goes on.
    kFetch,        // Ask the source for the page.
    kFetchSooner,  // It was asked for, but not because somebody waits for it.
    kOnItsWay,     // It was asked for because somebody waits.
    kDeferred,     // Not now: an event waits. RetryDeferred() soon.
    kGone,         // There is no target any more.
  };
  // The source has something to do.
  static bool AsksSource(Answer answer) {
    return answer == Answer::kFetch || answer == Answer::kFetchSooner;
  }
  // What became of pages that arrived.
  enum class Outcome {
    kDone,          // Every page that is wanted is there.
    kEventPending,  // An event must be read before anything can be installed.
    kNoMemory,      // The target is at its limit.
    kGone,
  };

  // `stats` must outlive this. All that happens to the layout is written to
  // `journal`, if there is one, which has it as it is now; it also tells
  // whether this is held. `pid` is missing for forked children, whose fork
  // event does not tell it.
  AddressSpace(std::unique_ptr<TargetMemory> memory, SpaceLayout layout,
               std::optional<PidFd> pid, SessionStats& stats,
               std::unique_ptr<SpaceJournal> journal = nullptr);

  // First of all, if its journal is another process's, which has died: applies
  // the events that that one had read and not applied, as Drain() does, and has
  // everybody who waits fault again.
  void GoOn(ForkCallback on_fork) ABSL_LOCKS_EXCLUDED(mu_);

  // A child of a process that is known is held when its parent's Drain() gives
  // it out: nothing is installed, its events are not to be read, and the child,
  // if it runs, waits at its first missing page.
  bool held() const { return held_.load(std::memory_order_acquire); }
  // Which pages of `range` its parent had, when it forked it.
  std::vector<PageRange> InheritedPages(PageRange range) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // It is known now which process it is, if it was found, and what of its
  // parent's memory it has not: MADV_WIPEONFORK made it zero, MADV_DONTFORK
  // left it out. For the session's event thread. REQUIRES: held().
  void Release(std::optional<PidFd> pid,
               const std::vector<PageRange>& not_inherited)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Reads all that is queued and applies the events in order; then appends the
  // faults, which are only hints. `on_fork` is called for every child while no
  // install into this address space can happen.
  // kResourceExhausted: no descriptor is free for a child; nothing is lost, the
  // child waits.
  absl::Status Drain(std::vector<PageFault>* faults, ForkCallback on_fork)
      ABSL_LOCKS_EXCLUDED(mu_);

  // For a page that nobody waits for yet: as Resolve(), but only if it is
  // missing; kDeferred if its mapping is not registered, or not known to be.
  Answer ResolveEarly(PageId page, ImagePage* image) ABSL_LOCKS_EXCLUDED(mu_);

  // Decides a fault against the map as it is now. With kFetch and
  // kFetchSooner, `image` is set.
  Answer Resolve(PageId page, ImagePage* image) ABSL_LOCKS_EXCLUDED(mu_);

  // Installs what is wanted of `range`, whose contents start `skip` pages into
  // `pieces`; without pieces the pages are zero.
  // REQUIRES: range.count <= kInstallStep.
  Outcome Install(ImageRange range, PageCursor::Pieces pieces, PageCount skip)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The most pages installed under one hold of the lock: about 20 µs.
  static constexpr PageCount kInstallStep{16};

  // Requests for `range` came to nothing: missing again.
  void GiveBack(ImageRange range) ABSL_LOCKS_EXCLUDED(mu_);

  // The contents of `range` are lost: whoever touches them gets SIGBUS.
  Outcome Lose(ImageRange range) ABSL_LOCKS_EXCLUDED(mu_);

  // Nothing if the target is gone, or held.
  std::optional<PageMap::Piece> ClaimFirst(PageRange within,
                                           PageCount most) override
      ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<PageMap::Piece> ClaimLast(PageRange within,
                                          PageCount most) override
      ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<PageMap::Piece> ClaimImage(ImageRange image,
                                           PageCount most) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lets threads go on that wait, inside mremap(2), for zeros by which locked
  // memory has grown: nothing can be installed as long as they wait; see
  // stuck_mremap.h. For the session's event thread, when faults stay waiting
  // although no event comes. Finds out by it which process this is, if that was
  // not known. kPermissionDenied if we may not look for them.
  absl::Status FreeStuckGrowth() ABSL_LOCKS_EXCLUDED(mu_);

  // Pages that answered "no such mapping": looks again, and lets go of those
  // that are really not registered. Also finds out whether the remaps that were
  // read are past. True if something is still in doubt.
  bool SettleDoubts() ABSL_LOCKS_EXCLUDED(mu_);
  bool has_doubts() const ABSL_LOCKS_EXCLUDED(doubts_mu_) {
    if (has_recent_moves_.load(std::memory_order_acquire)) return true;
    absl::MutexLock lock(&doubts_mu_);
    return !doubts_.empty();
  }

  // Nothing is left to fetch.
  bool complete() const ABSL_LOCKS_EXCLUDED(mu_);
  PageMap::Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // For InvariantChecker. Looks at every page.
  AddressSpaceFacts Facts() const ABSL_LOCKS_EXCLUDED(mu_);

  // Reads what is still queued, then unregisters everything, wakes everybody
  // and closes the userfaultfd: the target runs without us. False, and nothing
  // done, if a page is missing after all. REQUIRES: `complete()` was true.
  bool Detach(ForkCallback on_fork) ABSL_LOCKS_EXCLUDED(mu_);

  // Closes the userfaultfd of a target that is gone. REQUIRES: gone().
  void Bury() ABSL_LOCKS_EXCLUDED(mu_);

  bool gone() const { return gone_.load(std::memory_order_acquire); }
  void MarkGone() { gone_.store(true, std::memory_order_release); }
  // Asks the kernel whether the target's memory is still there. No event tells
  // of exec, and a process that has exited proves nothing: a vfork child may
  // live on in its memory.
  void CheckAlive() ABSL_LOCKS_EXCLUDED(mu_);

  bool closed() const { return closed_.load(std::memory_order_acquire); }
  int fd() const { return fd_; }  // To poll, until closed().
  const std::optional<PidFd>& pid() const { return pid_; }
  WaitingFaults& waiting() { return waiting_; }

 private:
  // Pages in these states are installed when their contents arrive.
  static constexpr PageStates kWanted =
      PageState::kMissing | PageState::kRequested;
  // To ask how an address space is; what lies there does not matter.
  static constexpr PageId kAnyPage{1 << 16};
  static bool IsAside(PageRange pages) {
    return SpaceLayout::kAside.raw() <= pages.first.raw();
  }
  static PageRange OnePage(PageId page) { return {page, PageCount(1)}; }
  static PageMap::Piece FirstOf(const PageMap::Piece& piece, PageCount count) {
    return {{piece.pages.first, count}, piece.image};
  }
  static PageMap::Piece Behind(const PageMap::Piece& piece, PageCount count) {
    return {{piece.pages.first + count, piece.pages.count - count},
            piece.image + count};
  }

  using MovedIn = SpaceLayout::MovedIn;
  using Set = SpaceLayout::Set;
  struct Doubt {
    PageId page;
    absl::Duration since;  // MonotonicNow().
  };

  absl::Status DrainLocked(std::vector<PageFault>* faults, ForkCallback on_fork)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyAllLocked(absl::Span<Event> events, std::vector<PageFault>* faults,
                      ForkCallback on_fork) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(Forked& event, ForkCallback on_fork)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(const Remapped& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(const Removed& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyLocked(const Unmapped& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What was changed is to survive us.
  void CommitLocked() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    if (journal_ != nullptr) journal_->Commit();
  }
  // REQUIRES: I4 holds.
  void CloseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Where memory is moved to, and from where.
  void MakeRoomLocked(PageRange to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MoveLocked(PageRange from, PageId to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropLocked(PageRange range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The parts of `range` where what was moved in, and matters, still is; all or
  // none of it, `otherwise`, if the mappings are not known.
  std::vector<PageRange> StillMovedIn(
      PageRange range, absl::FunctionRef<bool(const MovedIn&)> matters,
      bool otherwise) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SettleMovesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  PageMap& map() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return layout_.map(); }
  const PageMap& map() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return layout_.map();
  }
  const RangeSet& regions() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return layout_.set(Set::kRegions);
  }
  // The parts of `range` from which an event moves what was displaced, and not
  // what lies there now.
  std::vector<PageRange> DisplacedIn(PageRange range) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetDisplacedLocked(PageRange range)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // See memory_owner.h.
  void FindProcess() ABSL_LOCKS_EXCLUDED(mu_);
  void WakeAllLocked() ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void SetProcessLocked(std::optional<PidFd> pid)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Where `call` has grown to, if that is certain.
  std::vector<PageRange> GrownBy(const StuckMremap& call,
                                 const RegisteredRanges& mappings) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RegisterGrowthAgainLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void InheritDoubts(const AddressSpace& parent)
      ABSL_LOCKS_EXCLUDED(doubts_mu_);
  // Of the target; unknown for forked children.
  absl::StatusOr<RegisteredRanges> Mappings() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Whether pages may be asked for, to be installed.
  bool MayClaim() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return memory_ != nullptr && !gone() && !held();
  }

  bool JournalAgrees() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  Answer ResolveZero(PageId page) ABSL_SHARED_LOCKS_REQUIRED(mu_);
  Answer AnswerOutcome(PageId page, const InstallResult& result)
      ABSL_SHARED_LOCKS_REQUIRED(mu_);

  // Installs one run; `bytes` empty means zeros.
  Outcome InstallRun(PageMap::Piece rest, absl::Span<const std::byte> bytes)
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void MarkInstalled(const PageMap::Piece& piece)
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void MarkLost(const PageMap::Piece& piece) ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void WakeLocked(PageRange pages) ABSL_SHARED_LOCKS_REQUIRED(mu_);

  SessionStats& stats_;
  std::optional<PidFd> pid_;    // Set by Release(), or by FreeStuckGrowth().
  absl::Duration next_search_;  // MonotonicNow(); the event thread's.
  const int fd_;
  WaitingFaults waiting_;
  std::atomic<bool> gone_{false};
  std::atomic<bool> held_{false};
  std::atomic<bool> closed_{false};
  std::atomic<bool> told_of_failure_{false};
  const std::unique_ptr<SpaceJournal> journal_;  // Perhaps none.
  EventBuffer buffer_;                           // The event thread's.

  mutable absl::Mutex mu_;
  std::unique_ptr<TargetMemory> memory_ ABSL_GUARDED_BY(mu_);
  // Its states change under the shared lock, its structure under the exclusive.
  SpaceLayout layout_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> has_recent_moves_{false};  // See SpaceLayout.
  // Closed to read the mappings when no descriptor is free.
  mutable UniqueFd spare_fd_;

  mutable absl::Mutex doubts_mu_;
  std::vector<Doubt> doubts_ ABSL_GUARDED_BY(doubts_mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_ADDRESS_SPACE_H_
