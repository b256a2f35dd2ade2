#ifndef PAGELIFT_DAEMON_PAGER_SESSION_SWEEPER_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_SWEEPER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pager/session/lineage.h"
#include "lib/memory/page.h"

namespace pagelift {

// Brings what nobody has touched yet, so that the dependency on the source
// ends: address space by address space in turn, in each from its latest fault
// onward. Keeps a bounded number of pages in flight. Waits without using the
// processor.
//
// Thread-safe.
class Sweeper {
 public:
  using Fetch = std::function<void(ImageRange)>;

  // `fetch` asks the source; `on_nothing_left` is told, on the sweeper's
  // thread, that it has nothing to ask for at the moment. The lineages must
  // outlive this.
  Sweeper(std::vector<Lineage*> lineages, Fetch fetch,
          std::function<void()> on_nothing_left);
  ~Sweeper();

  // The targets may run: begin.
  void Start() ABSL_LOCKS_EXCLUDED(mu_);
  // The source cannot serve now: ask for nothing before the next Nudge().
  void Pause() ABSL_LOCKS_EXCLUDED(mu_);
  // There may be missing pages again: a fork, a request that came to nothing.
  void Nudge() ABSL_LOCKS_EXCLUDED(mu_);
  // Pages were asked for by somebody else.
  void NoteRequested(PageCount pages) ABSL_LOCKS_EXCLUDED(mu_);
  // An answer came. True if it was the last and the sweep has found nothing
  // left.
  bool NoteAnswered(PageCount pages) ABSL_LOCKS_EXCLUDED(mu_);
  // Idempotent; not from `fetch` or `on_nothing_left`.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Where the sweep of one address space stands.
  struct Position {
    PageId cursor;
    PageId fault_seen;
  };

  using Positions = absl::flat_hash_map<const AddressSpace*, Position>;

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  bool WaitForRoom() ABSL_LOCKS_EXCLUDED(mu_);
  bool HasRoom() const ABSL_LOCKS_EXCLUDED(mu_);
  bool MayAsk() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // One request for each address space that has missing pages, as far as there
  // is room; false if none has.
  bool Round();
  bool SweepOne(AddressSpace& space, Position& position);

  const std::vector<Lineage*> lineages_;
  const Fetch fetch_;
  const std::function<void()> on_nothing_left_;
  Positions positions_;  // The thread's; of the spaces met in the last round.

  mutable absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool something_left_ ABSL_GUARDED_BY(mu_) = true;
  bool swept_ ABSL_GUARDED_BY(mu_) = false;  // The last round found nothing.
  PageCount in_flight_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_SWEEPER_H_
