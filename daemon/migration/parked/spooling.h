#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOLING_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOLING_H_

#include <atomic>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "daemon/migration/parked/spool.h"
#include "daemon/migration/parked/tree_pages.h"

namespace pagelift {

// Copies the pages of a frozen tree that a spool does not have yet into it, and
// completes it, on a thread of its own. That runs only where nobody else wants
// to (SCHED_IDLE). How far it is, Spool::has() tells.
//
// Thread-compatible.
class Spooling {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  // Starts. `pages` and `spool` must outlive it; nobody else adds to the spool.
  // `done` is called once, as the last thing on the thread: OK when the spool
  // is complete; kDataLoss if the tree has ended, or the spool's disk fails;
  // kResourceExhausted if there is no room; kCancelled after Stop(). The spool
  // keeps what it has, and another Spooling may go on from there.
  Spooling(const TreePages& pages, Spool& spool, Done done);

  // Stops it, and waits.
  ~Spooling();
  Spooling(const Spooling&) = delete;
  Spooling& operator=(const Spooling&) = delete;

  // Soon, and without waiting.
  void Stop() { stop_ = true; }

 private:
  absl::Status Run();

  const TreePages& pages_;
  Spool& spool_;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOLING_H_
