#ifndef PAGELIFT_DAEMON_PAGER_SESSION_PREFETCHER_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_PREFETCHER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/pager/session/lineage.h"
#include "lib/memory/page.h"
#include "lib/prefetch/bulk_window.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/prefetch/prefetch_pace.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/source/page_source.h"

namespace pagelift {

// Brings what nobody has touched yet: address space by address space in turn,
// in each what its policy says, as much at a time as the window allows and as
// soon as the mode does.
//
// Whoever has delivered pages asks for the next ones, so no thread is woken
// while pages flow; a thread of its own begins, goes on after pauses, and does
// all of it for sources that deliver from within Fetch(). Waits without using
// the processor. Thread-safe.
class Prefetcher {
 public:
  struct Options {
    // Of each of them in turn; they must outlive this.
    std::vector<Lineage*> lineages;
    // For the address space at a place in a lineage; 0 is the task's own.
    std::function<std::unique_ptr<PrefetchPolicy>(size_t lineage, size_t place)>
        policy;
    // Asks the source. On any of the threads that call this class.
    std::function<void(absl::Span<const ImageRange>)> fetch;
    // Told, on any thread, that there is nothing to ask for at the moment.
    std::function<void()> on_nothing_left;
    PrefetchMode mode;
    // How many pages are on their way before the link is known.
    PageCount first_window = BulkWindow::kFirst;
  };

  explicit Prefetcher(Options options);
  ~Prefetcher();

  // The targets may run: begin.
  void Start() ABSL_LOCKS_EXCLUDED(mu_);
  void SetMode(PrefetchMode mode) ABSL_LOCKS_EXCLUDED(mu_);
  PrefetchMode mode() const ABSL_LOCKS_EXCLUDED(mu_);
  // The source cannot serve now: ask for nothing before the next Nudge().
  void Pause() ABSL_LOCKS_EXCLUDED(mu_);
  // There may be missing pages again: a fork, a request that came to nothing.
  void Nudge() ABSL_LOCKS_EXCLUDED(mu_);

  // A fault for which somebody else asks the source for `requested` pages: one,
  // or none if the page is on its way.
  void OnFault(const AddressSpace& space, const DemandFault& fault,
               PageCount requested) ABSL_LOCKS_EXCLUDED(mu_);
  // The same without a fault.
  void NoteRequested(PageCount pages) ABSL_LOCKS_EXCLUDED(mu_);
  // `pages` of what was asked for, here or elsewhere, will not come.
  // Returns as OnAnswer() does.
  bool OnUnavailable(PageCount pages) ABSL_LOCKS_EXCLUDED(mu_);
  // An answer was delivered. `may_ask`: this thread may ask the source for
  // more. True if nothing that was asked for is left to come, and nobody is
  // about to ask for more: all may be there.
  bool OnAnswer(const PageBatch& batch, bool may_ask) ABSL_LOCKS_EXCLUDED(mu_);
  // Idempotent; not from `fetch` or `on_nothing_left`.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Known {
    std::unique_ptr<PrefetchPolicy> policy;
    uint64_t met_in = 0;  // Which round.
  };
  struct Target {
    std::shared_ptr<AddressSpace> space;
    PrefetchPolicy* policy;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Asks for as much as there is room for, unless another thread is at it. How
  // long until there is more to ask for: InfiniteDuration() if time alone does
  // not change that, or the other thread knows.
  absl::Duration Ask() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // How long nothing may be asked for: InfiniteDuration() if time alone does
  // not change that.
  absl::Duration Wait() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same, and where there is nothing to ask for.
  absl::Duration UntilNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Settle(PageCount pages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // By the thread that set asking_.
  //
  // Asks once for each address space that has missing pages, as far as there is
  // room; false if none has.
  bool Round() ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Target> Live();
  // Also returns how many pages may be asked for now.
  PageCount TellFaults() ABSL_LOCKS_EXCLUDED(mu_);
  // For the next pages, `most` at most; false if none are missing.
  bool AskFor(AddressSpace& space, PrefetchPolicy& policy, PageCount most)
      ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  // Of the thread that set asking_: of the spaces met in the last round.
  absl::flat_hash_map<const AddressSpace*, Known> known_;
  uint64_t round_ = 0;

  mutable absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool something_left_ ABSL_GUARDED_BY(mu_) = true;
  bool swept_ ABSL_GUARDED_BY(mu_) = false;   // The last round found nothing.
  bool asking_ ABSL_GUARDED_BY(mu_) = false;  // A thread is in Ask().
  bool called_ ABSL_GUARDED_BY(mu_) = false;  // thread_ is to look.
  PageCount in_flight_ ABSL_GUARDED_BY(mu_);
  BulkWindow window_ ABSL_GUARDED_BY(mu_);
  PrefetchPace pace_ ABSL_GUARDED_BY(mu_);
  // Of which the policies have not been told.
  std::deque<std::pair<const AddressSpace*, DemandFault>> faults_
      ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_PREFETCHER_H_
