#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/migration/parked/frozen_task.h"

namespace pagelift {

// The processes of a tree that CRIU has parked, except zombies.
//
// Dropping it does nothing to them. Thread-safe, immutable.
class FrozenTree {
 public:
  // The tree below `root`, of which CRIU has written `images`. See NameTasks().
  static absl::StatusOr<FrozenTree> Open(const std::string& images, pid_t root);

  // See frozen_tree_proto.h.
  explicit FrozenTree(std::vector<FrozenTask> tasks)
      : tasks_(std::move(tasks)) {}

  const std::vector<FrozenTask>& tasks() const { return tasks_; }
  // Null if there is none.
  const FrozenTask* FindTask(int32_t image_pid) const;

  // Sends every process SIGSTOP, which takes effect when CRIU lets go of it,
  // for whatever reason: from now on none executes an instruction before
  // Unfence(). May be repeated while CRIU holds them: a SIGCONT of somebody
  // else's (systemd sends one with the SIGTERM of a stop) takes it down.
  //
  // After an error the tree is not fenced, and Unfence() is due. kAborted: CRIU
  // has let go of one before it was sent the signal, so it may have gone on
  // from where the images are. kNotFound: one has ended.
  absl::Status Fence() const;

  // Has the connections work again of a tree that is fenced and that a CRIU
  // held which was killed: see EndRepairOfSockets().
  absl::Status EndRepairOfSockets() const;

  // SIGCONT to those that were not stopped before they were dumped; those that
  // have ended do not matter. They go on when CRIU, too, has let go. May be
  // repeated. A process that handles SIGCONT is told.
  absl::Status Unfence() const;

  // Whether no process runs; of a tree that is fenced and without a CRIU.
  // kAborted: somebody has continued one. kNotFound: one has ended.
  absl::Status CheckStopped() const;

  // SIGKILL to all, and waits until all have ended. kDeadlineExceeded if they
  // have not after `patience`: one with several threads does not end before
  // CRIU does, or has let go of it. May be repeated.
  absl::Status Kill(absl::Duration patience) const;

 private:
  std::vector<FrozenTask> tasks_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_H_
