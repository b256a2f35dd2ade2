#ifndef PAGELIFT_DAEMON_PAGER_SESSION_WAITING_FAULTS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_WAITING_FAULTS_H_

#include <atomic>
#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift {

// The pages of one address space that threads sleep on, from the message that
// was read to the answer: invariant I3 is that this becomes empty.
//
// Thread-safe.
class WaitingFaults {
 public:
  struct Entry {
    PageId page;
    absl::Time since;
    bool deferred;
  };

  // Somebody waits for `page`. True if its contents are to be asked for now: it
  // is new, or its request came to nothing before.
  bool Demand(PageId page, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // The same, but nothing can be done about it before a retry.
  void Defer(PageId page, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // Requests for pages in `range` came to nothing: they are deferred from now
  // on.
  void DeferAll(PageRange range) ABSL_LOCKS_EXCLUDED(mu_);

  // The pages are answered; calls `answered` with how long each of them waited.
  void Answered(PageRange range,
                absl::FunctionRef<void(absl::Duration)> answered,
                absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // Nobody waits there any more, or will say so again.
  void Forget(PageRange range) ABSL_LOCKS_EXCLUDED(mu_);

  // Somebody waits for `page`, deferred or not.
  bool Contains(PageId page) const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<PageId> Deferred() const ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Entry> All() const ABSL_LOCKS_EXCLUDED(mu_);
  // When the oldest fault was read; InfiniteFuture if none waits.
  absl::Time OldestSince() const ABSL_LOCKS_EXCLUDED(mu_);

  // Cheap, and exact only for who has just made it so.
  bool empty() const { return count_.load(std::memory_order_acquire) == 0; }
  bool any_deferred() const {
    return deferred_.load(std::memory_order_acquire) != 0;
  }

 private:
  struct Waiting {
    absl::Time since;
    bool deferred;
  };
  using Map = absl::btree_map<PageId, Waiting>;

  void Recount() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  Map waiting_ ABSL_GUARDED_BY(mu_);
  size_t deferred_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<size_t> count_{0};
  std::atomic<size_t> deferred_{0};
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_WAITING_FAULTS_H_
