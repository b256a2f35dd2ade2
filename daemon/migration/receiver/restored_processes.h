#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORED_PROCESSES_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORED_PROCESSES_H_

#include <vector>

#include "absl/types/span.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restorer_wait.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// The tasks that a run of criu restore has made and that live: the tree below
// its root, and what has lost its parent, as far as it was noted or the keeper
// lives. None before
// all are restored.
std::vector<PidFd> RestoredTasks(const RestoreNotes& notes);

// Those, and criu, and whatever else is below it or the keeper; not the keeper.
std::vector<PidFd> RestoreProcesses(const RestoreNotes& notes);

// Where all of `tasks` are, at least one: kWaiting, or kInside, if all are.
RestorerPlace PlaceInRestorer(absl::Span<const PidFd> tasks);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORED_PROCESSES_H_
