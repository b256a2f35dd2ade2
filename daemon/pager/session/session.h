#ifndef PAGELIFT_DAEMON_PAGER_SESSION_SESSION_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_SESSION_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/pager/event_loop/event_loop.h"
#include "daemon/pager/handoff/criu_handoff.h"
#include "daemon/pager/journal/session_journal.h"
#include "daemon/pager/session/address_space.h"
#include "daemon/pager/session/forked_children.h"
#include "daemon/pager/session/image_owners.h"
#include "daemon/pager/session/invariants.h"
#include "daemon/pager/session/lineage.h"
#include "daemon/pager/session/lost_source.h"
#include "daemon/pager/session/prefetcher.h"
#include "daemon/pager/session/restore_recorder.h"
#include "daemon/pager/session/session_limits.h"
#include "daemon/pager/session/session_stats.h"
#include "lib/base/rate_budget.h"
#include "lib/prefetch/bulk_window.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/process/fd_listener.h"
#include "lib/source/page_source.h"

namespace pagelift {

// awaiting_handoff -> serving -> draining -> complete, and any of them ->
// failed.
enum class SessionState {
  kAwaitingHandoff,  // The socket listens.
  kServing,          // Restore has connected: faults only.
  kDraining,         // The tasks run; everything is brought.
  kComplete,         // Nothing is left to fetch; the tasks run without us.
  kFailed,
};

// What a session is and how far it is, at one moment.
struct SessionSnapshot {
  SessionState state = SessionState::kAwaitingHandoff;
  // What is wrong, for people; empty if nothing is.
  std::string trouble;
  absl::Duration age;
  // From the restore's "finished" to completion; zero until then.
  absl::Duration time_to_complete;
  uint32_t address_spaces = 0;
  PageCount pages_total;    // Of the live address spaces.
  PageCount pages_missing;  // Requested ones included.
  PrefetchMode prefetch;
};

// One restore: listens at `work_dir`/lazy-pages.socket as `criu lazy-pages`
// does, takes the tasks' userfaultfds, serves their faults from the source,
// brings the rest, and lets go.
//
// Threads: the session's event thread (handoff, events, faults, and, if the
// source lets it, what is demanded), the prefetcher's, and the source's, which
// install what they receive. Thread-safe.
class Session : private PageSink {
 public:
  struct Options {
    std::string work_dir;
    // Called once, on the session's thread, when it has ended.
    std::function<void()> on_end = [] {};
    PrefetchMode prefetch;
    // Brings nothing until the targets have settled, so that all they touch is
    // recorded; then goes on as `prefetch` says. Otherwise what they touch in
    // vain is recorded, if nothing is known of the image.
    bool record = false;
    // See Prefetcher::Options.
    PageCount first_window = BulkWindow::kFirst;
    // Looks again and again whether an invariant is broken, and ends the
    // process if one is.
    bool check_invariants = false;
    // How long a fault may wait before that takes it for forgotten.
    absl::Duration patience = absl::Seconds(30);
    // When the targets are given up.
    LostSource lost_source;
    // How long the event thread waits for an event that it has read to stop
    // mattering, before it asks for the pages anew. Others' faults wait.
    absl::Duration event_patience = absl::Microseconds(500);
    // How long the event thread looks on before it sleeps.
    absl::Duration spin = EventLoop::kDefaultSpin;
    SessionLimits limits;
  };

  // Listens when this returns. kAlreadyExists if another daemon does. What must
  // not be lost if this process dies is written to `journal`, which is new; if
  // there is none, to one that dies with it.
  static absl::StatusOr<std::unique_ptr<Session>> Open(
      Options options, std::unique_ptr<PageSource> source,
      std::unique_ptr<SessionJournal> journal = nullptr);

  // Goes on with a session whose process has died: with its descriptors, which
  // `journal` names and which become ours, and what was known of its targets.
  // `source` must be of the same checkpoint. A recording is not gone on with.
  static absl::StatusOr<std::unique_ptr<Session>> Resume(
      Options options, std::unique_ptr<PageSource> source,
      std::unique_ptr<SessionJournal> journal);

  // REQUIRES: has_ended(), or that no task has arrived: a task that lives would
  // lose its memory.
  ~Session() override;

  SessionJournal& journal() { return *journal_; }
  // To be kept with what is to be known of a session that has ended.
  // REQUIRES: has_ended(); nothing else may be called after that.
  std::unique_ptr<SessionJournal> TakeJournal() { return std::move(journal_); }

  SessionSnapshot Snapshot() const ABSL_LOCKS_EXCLUDED(mu_);
  const SessionStats& stats() const { return stats_; }
  const PageSource& source() const { return *source_; }
  const std::string& work_dir() const { return options_.work_dir; }

  // When the event thread last moved, by MonotonicNow(). Has it move, if it
  // can, for who asks next.
  absl::Duration LastMoved();

  bool has_ended() const ABSL_LOCKS_EXCLUDED(mu_);
  void WaitUntilEnded() const ABSL_LOCKS_EXCLUDED(mu_);

  // From now on, whatever else was planned.
  void SetPrefetch(PrefetchMode mode);

  // Ends a session that nobody has connected to; kFailedPrecondition if
  // somebody has. Asynchronous: it ends soon.
  absl::Status Cancel() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr char kSocketName[] = "lazy-pages.socket";
  // A deferred fault is tried again soon: an event that was read stops
  // mattering within some hundred microseconds. Then less and less often.
  static constexpr absl::Duration kFirstRetry = absl::Microseconds(100);
  static constexpr absl::Duration kSlowestRetry = absl::Milliseconds(20);
  // fork(2) shows the child some hundred microseconds after its event.
  static constexpr absl::Duration kFirstLook = absl::Microseconds(200);
  static constexpr absl::Duration kSlowestLook = absl::Milliseconds(5);
  // Restore takes some milliseconds from registering to the end.
  static constexpr absl::Duration kEarlyPause = absl::Milliseconds(1);
  // No event tells of exec and of a forked child's exit.
  static constexpr absl::Duration kHousekeeping = absl::Seconds(1);
  // How often the invariants are checked while faults come.
  static constexpr absl::Duration kCheckEvery = absl::Milliseconds(10);

  Session(Options options, std::unique_ptr<PageSource> source,
          ImageOwners owners, std::unique_ptr<EventLoop> loop,
          std::optional<FdListener> listener,
          std::unique_ptr<SessionJournal> journal, bool resumed);
  static absl::StatusOr<std::unique_ptr<Session>> Make(
      Options options, std::unique_ptr<PageSource> source,
      std::optional<FdListener> listener,
      std::unique_ptr<SessionJournal> journal, bool resumed);

  // Everything below, but for the PageSink, runs on the event thread.
  // Takes over what the session had; see Resume().
  void TakeOver();
  void TakeOverSpace(std::unique_ptr<SpaceJournal> journal,
                     std::vector<std::shared_ptr<AddressSpace>>& spaces);
  void TakeOverHandoff();
  // Every task of the image was handed over.
  bool HasEveryTask() const;

  void OnConnect();
  void OnHandoff();
  // Writes down what was received, before anything else is done with it.
  // Returns a journal for each task, null for each other event.
  std::vector<std::unique_ptr<SpaceJournal>> NoteReceived(
      absl::Span<const HandoffEvent> events);
  void CloseListener();
  void CloseHandoff();
  // Of a task; `journal`, perhaps null, becomes that of its layout.
  std::shared_ptr<AddressSpace> NewSpace(UserfaultFd uffd, SpaceLayout layout,
                                         std::optional<PidFd> pid, size_t task,
                                         bool frozen,
                                         std::unique_ptr<SpaceJournal> journal);
  absl::Status Take(HandoffEvent& event, std::unique_ptr<SpaceJournal> journal);
  absl::Status TakeTask(TaskArrived& task,
                        std::unique_ptr<SpaceJournal> journal);
  absl::Status CheckTask(int32_t image_pid, const UserfaultFd& uffd) const;
  // Asks for the pages that are to be there before the targets run, or are
  // likely to be touched first, of which restore has registered the mapping by
  // now, and looks again soon for the others.
  void FetchEarlyPages();
  void OnRestoreFinished();
  void OnRestoreHungUp();
  absl::Status WhyRestoreFailed() const ABSL_LOCKS_EXCLUDED(mu_);
  // Before the tasks run restore then kills them, and until they are gone their
  // faults are answered.
  void AbandonHandoff(const absl::Status& why);
  // The source is lost before the tasks run: they are to die of it, so that
  // restore fails instead of waiting for ever.
  void OnSourceGone();
  // Takes what restore has said already, which is not to be believed any more.
  void DrainAbandonedHandoff();
  void Disbelieve(HandoffEvent& event, std::unique_ptr<SpaceJournal> journal);
  // Keeps the userfaultfd of a task that was refused: closed, it would read
  // zeros. It waits at its first fault, until somebody kills it.
  void Freeze(UserfaultFd uffd, std::optional<PidFd> pid,
              std::unique_ptr<SpaceJournal> journal);
  void BuryFrozen();

  void WatchSpace(std::shared_ptr<AddressSpace> space);
  void WatchProcess(const std::shared_ptr<AddressSpace>& space);
  void UnwatchSpace(const AddressSpace& space);
  void Forget(const AddressSpace& space);
  // The process has exited, which is a reason to look whether its memory has.
  void OnTaskExit(const std::shared_ptr<AddressSpace>& space);
  // Does `work`, which may bring forked children of `parent`, and enters them;
  // whether there were any.
  bool Adopting(AddressSpace& parent,
                absl::FunctionRef<void(AddressSpace::ForkCallback)> work);
  // Serves the children that need not be held any more.
  void ReleaseChildren();
  void Serve(const std::shared_ptr<AddressSpace>& space);
  // Reads its events, and answers its faults. REQUIRES: it is not closed, and
  // not held.
  void ReadEvents(const std::shared_ptr<AddressSpace>& space);
  void ServeFault(const std::shared_ptr<AddressSpace>& space, PageId page);
  // Waits for what was prefetched, if it is likely to come before what would be
  // demanded now; false if not.
  bool AwaitLate(const std::shared_ptr<AddressSpace>& space, PageId page,
                 ImagePage image);
  void Demand(ImagePage page);
  // Asks the source, which may deliver meanwhile.
  void FetchNow(ImagePage page);
  // In which order an address space is filled.
  std::unique_ptr<PrefetchPolicy> NewPolicy(size_t task, size_t place) const;
  // What is known of earlier restores, and whether this one is recorded.
  void LearnWorkingSet();
  // Those of a task's pages that are likely to be touched first.
  std::vector<PageId> LikelyFirst(size_t task, const PageMap& map) const;
  // Goes on when what is recorded has settled.
  void CheckRecording();
  void Reap(const std::shared_ptr<AddressSpace>& space);
  // Whether what `space` says may be read now; if not, it will be soon.
  bool MayRead(const std::shared_ptr<AddressSpace>& space);
  // For what came since there were so many.
  void PayForEvents(uint64_t forks_before, uint64_t others_before);
  uint64_t OtherEvents() const;
  // A drain found no free descriptor for a child, or did not: as long as it is
  // so, the descriptor is readable without end, and is looked at by Retry().
  void NoteStarved(const AddressSpace& space, const absl::Status& why);
  void NoteFed(const std::shared_ptr<AddressSpace>& space);
  void ArmRetry(absl::Duration at_least);
  void Retry();
  // See AddressSpace: if its faults have waited for a while.
  void FreeStuckGrowth(const std::shared_ptr<AddressSpace>& space);
  void CheckComplete();
  bool TryDetach(const std::shared_ptr<AddressSpace>& space);
  void Housekeeping();
  // Does what the options say, once, if nothing comes any more.
  void CheckSourceLost();
  // If the options say so.
  void CheckInvariants();
  void CheckInvariants(const AddressSpace& space);
  bool AnyFrozen() const ABSL_LOCKS_EXCLUDED(mu_);
  void EndIfNothingIsLeft();
  void End(SessionState state);
  std::vector<std::shared_ptr<AddressSpace>> LiveSpaces() const;

  bool OnEventThread() const;  // From any thread.

  // PageSink, on the source's threads and the event thread.
  void OnPages(const PageBatch& batch) override;
  void OnUnavailable(ImageRange range, const absl::Status& status) override;
  bool MayBeComplete() const;
  void PostCheckComplete();
  // Delivers to every address space of a task's lineage.
  void Deliver(Lineage& lineage, ImageRange range, const PageBatch& batch);
  // False if the pages could not be installed now and were given back.
  bool InstallPatiently(const std::shared_ptr<AddressSpace>& space,
                        ImageRange step, const PageBatch& batch);
  // Lets the events be read that keep pages from being installed; false if they
  // cannot be by this thread.
  bool AwaitEvents(const std::shared_ptr<AddressSpace>& space);

  void SetState(SessionState state) ABSL_LOCKS_EXCLUDED(mu_);
  void SetTrouble(std::string trouble) ABSL_LOCKS_EXCLUDED(mu_);
  // Unless there is another trouble by now.
  void ClearTrouble(const std::string& trouble) ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  std::unique_ptr<SessionJournal> journal_;
  SessionRecord& record_;  // In it, as the counters are.
  SessionStats& stats_;
  const std::unique_ptr<PageSource> source_;
  const ImageOwners owners_;
  std::vector<std::unique_ptr<Lineage>> lineages_;  // One for each task.
  const std::unique_ptr<EventLoop> loop_;

  // The event thread's.
  std::optional<FdListener> listener_;
  std::optional<CriuHandoff> handoff_;
  std::vector<PageFault> faults_;
  bool fetching_ = false;                               // In FetchNow().
  absl::Duration retry_at_ = absl::InfiniteDuration();  // MonotonicNow().
  absl::Duration retry_backoff_;
  RateBudget events_;
  // Those that are not read because of it; each has a timer.
  absl::flat_hash_set<const AddressSpace*> held_back_;
  absl::flat_hash_set<const AddressSpace*> starved_;
  std::string starved_trouble_;
  bool told_of_growth_ = false;
  absl::flat_hash_map<const AddressSpace*, Lineage*> lineage_of_;
  // Such pages that have not been asked for.
  std::vector<std::pair<std::shared_ptr<AddressSpace>, std::vector<PageId>>>
      early_;
  absl::flat_hash_map<const AddressSpace*, InvariantChecker> checkers_;
  absl::Duration next_check_;  // MonotonicNow().
  ForkedChildren children_;
  absl::Duration look_backoff_;  // Zero: no look is planned.
  bool finished_ = false;        // Restore said so.
  bool gave_up_ = false;         // The source.

  // In which order an earlier restore touched the pages of each task; empty
  // where nothing is known.
  std::vector<std::vector<ImagePage>> touched_before_;
  std::unique_ptr<Prefetcher> prefetcher_;
  // Of a restore that is recorded, as long as it is open.
  std::optional<RestoreRecorder> recorder_;
  // MonotonicNow(), in nanoseconds, when something has come.
  std::atomic<int64_t> last_arrival_;
  std::atomic<int64_t> last_moved_;  // The same, of LastMoved().
  std::atomic<bool> asked_to_move_{false};
  // Nothing is prefetched until it has settled.
  std::atomic<bool> recording_first_;

  mutable absl::Mutex mu_;
  SessionState state_ ABSL_GUARDED_BY(mu_) = SessionState::kAwaitingHandoff;
  std::string trouble_ ABSL_GUARDED_BY(mu_);
  // Of tasks that were refused. Never served.
  std::vector<std::shared_ptr<AddressSpace>> frozen_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: joined before anything above goes away.
};

// "draining"
const char* ToString(SessionState state);

// What the journal of a session tells that has ended, or cannot be resumed yet.
SessionSnapshot SnapshotOf(SessionJournal& journal);
// Its counters.
SessionStats& StatsOf(SessionJournal& journal);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_SESSION_H_
