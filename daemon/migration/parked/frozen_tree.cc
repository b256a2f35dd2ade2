#include "daemon/migration/parked/frozen_tree.h"

#include <poll.h>

#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "daemon/migration/parked/task_names.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/status_macros.h"

namespace pagelift {

absl::StatusOr<FrozenTree> FrozenTree::Open(const std::string& images,
                                            pid_t root) {
  ASSIGN_OR_RETURN(const std::vector<TaskName> names, NameTasks(images, root));
  std::vector<FrozenTask> tasks;
  tasks.reserve(names.size());
  for (const TaskName& name : names) {
    ASSIGN_OR_RETURN(FrozenTask task, FrozenTask::Open(name));
    tasks.push_back(std::move(task));
  }
  return FrozenTree(std::move(tasks));
}

const FrozenTask* FrozenTree::FindTask(int32_t image_pid) const {
  const auto task = std::find_if(
      tasks_.begin(), tasks_.end(), [image_pid](const FrozenTask& candidate) {
        return candidate.name().image_pid == image_pid;
      });
  return task == tasks_.end() ? nullptr : &*task;
}

absl::Status FrozenTree::Fence() const {
  for (const FrozenTask& task : tasks_) {
    RETURN_IF_ERROR(task.Signal(SIGSTOP));
  }
  // Whoever is still traced has been all the time, and has the signal before
  // it: CRIU does not take hold of a process twice.
  for (const FrozenTask& task : tasks_) {
    RETURN_IF_ERROR(task.CheckTraced());
  }
  return absl::OkStatus();
}

absl::Status FrozenTree::EndRepairOfSockets() const {
  absl::Status first_error;
  for (const FrozenTask& task : tasks_) {
    const absl::Status ended = task.EndRepairOfSockets();
    if (!absl::IsNotFound(ended)) first_error.Update(ended);
  }
  return first_error;
}

absl::Status FrozenTree::Unfence() const {
  absl::Status first_error;
  for (const FrozenTask& task : tasks_) {
    if (task.name().was_stopped) continue;
    const absl::Status sent = task.Signal(SIGCONT);
    if (!absl::IsNotFound(sent)) first_error.Update(sent);
  }
  return first_error;
}

absl::Status FrozenTree::CheckStopped() const {
  for (const FrozenTask& task : tasks_) {
    RETURN_IF_ERROR(task.CheckStopped());
  }
  return absl::OkStatus();
}

absl::Status FrozenTree::Kill(absl::Duration patience) const {
  absl::Status first_error;
  for (const FrozenTask& task : tasks_) {
    const absl::Status sent = task.Signal(SIGKILL);
    if (!absl::IsNotFound(sent)) first_error.Update(sent);
  }
  RETURN_IF_ERROR(first_error);
  const absl::Duration deadline = MonotonicNow() + patience;
  for (const FrozenTask& task : tasks_) {
    if (task.HasEnded() || PollUntil(task.pidfd(), POLLIN, deadline)) continue;
    return absl::DeadlineExceededError(absl::StrCat(
        "process ", task.name().process.pid, " was killed and does not end"));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
