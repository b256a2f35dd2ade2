#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_TASK_NAMES_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_TASK_NAMES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/process/process_name.h"

namespace pagelift {

// A process that has a memory image.
struct TaskName {
  ProcessName process;    // On this host.
  int32_t image_pid = 0;  // Inside the pid namespace that was dumped.
  // Before it was dumped, by a signal: it is not ours to continue.
  bool was_stopped = false;
};

// Which process of the tree below `root` is which of the images in the
// directory `images`, which CRIU has just written of it; zombies are left out.
// kFailedPrecondition if they are not the same processes: one has ended since,
// or the tree goes on. REQUIRES: the tree is parked.
absl::StatusOr<std::vector<TaskName>> NameTasks(const std::string& images,
                                                pid_t root);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_TASK_NAMES_H_
