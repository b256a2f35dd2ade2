#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TASK_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TASK_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/migration/parked/task_names.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// A process of a frozen tree and its memory, held by descriptors that never
// mean another process, nor the same one after an execve(2).
//
// Thread-safe: every call is system calls on immutable descriptors.
class FrozenTask {
 public:
  // Holds the process of that name. kNotFound if it has ended.
  static absl::StatusOr<FrozenTask> Open(const TaskName& name);

  // Takes over descriptors that a dead worker had opened by Open(), and that we
  // share. kNotFound, and nothing is taken, if these numbers mean anything
  // else.
  static absl::StatusOr<FrozenTask> Adopt(const TaskName& name, int pidfd,
                                          int memory_fd);

  // One that has ended, and is remembered.
  static FrozenTask Ended(const TaskName& name);

  const TaskName& name() const { return name_; }
  // -1 if it had ended.
  int pidfd() const { return process_.has_value() ? process_->fd() : -1; }
  int memory_fd() const { return memory_.get(); }

  // One with several threads that was killed has ended only when CRIU, too, has
  // let go of it.
  bool HasEnded() const;
  // kNotFound if it has ended.
  absl::Status Signal(int signal) const;
  // See EndRepairOfSockets().
  absl::Status EndRepairOfSockets() const;
  // Whether no thread of it has been let go by CRIU, or whoever traces it:
  // kAborted. kNotFound if it has ended.
  absl::Status CheckTraced() const;
  // Whether no thread of it runs, traced or not: likewise.
  absl::Status CheckStopped() const;

  // Fills `buffer`, whole pages and at least one, with the contents of those
  // from `first` on, and returns how many were read. Fewer if the next cannot
  // be; kDataLoss if that is the first: the process has ended, or has no such
  // page.
  absl::StatusOr<PageCount> Read(PageId first,
                                 absl::Span<std::byte> buffer) const;

 private:
  explicit FrozenTask(const TaskName& name) : name_(name) {}
  absl::Status CheckThreads(bool stopped_will_do) const;

  TaskName name_;
  std::optional<PidFd> process_;
  UniqueFd memory_;  // /proc/PID/mem.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TASK_H_
