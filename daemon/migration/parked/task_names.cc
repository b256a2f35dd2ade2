#include "daemon/migration/parked/task_names.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/image_directory.h"
#include "lib/image/process_tree.h"
#include "lib/image/thread_core.h"
#include "lib/process/child_processes.h"

namespace pagelift {
namespace {

absl::Status Changed(pid_t pid, absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("process ", pid, " ", what,
                   ": the tree is not any more as CRIU has dumped it"));
}

// By which number the process knows itself: CRIU uses that.
absl::StatusOr<int32_t> InnermostPid(pid_t pid) {
  ASSIGN_OR_RETURN(const std::string status,
                   ReadFile(absl::StrCat("/proc/", pid, "/status")));
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    if (!absl::ConsumePrefix(&line, "NSpid:")) continue;
    const std::vector<absl::string_view> pids =
        absl::StrSplit(line, absl::ByAnyChar("\t "), absl::SkipEmpty());
    int32_t innermost = 0;
    if (!pids.empty() && absl::SimpleAtoi(pids.back(), &innermost)) {
      return innermost;
    }
  }
  return absl::UnimplementedError(
      "/proc/PID/status has no NSpid: is /proc that of this host?");
}

absl::StatusOr<bool> WasStopped(const ImageDirectory& directory,
                                int32_t image_pid) {
  const std::string name = absl::StrCat("core-", image_pid, ".img");
  ASSIGN_OR_RETURN(const std::string contents, directory.ReadFile(name));
  ASSIGN_OR_RETURN(const ThreadCore core,
                   DecodeThreadCore(directory.PathOf(name), contents));
  return core.stopped;
}

// The process that has been dumped as one of `left`; nothing if it is, or was
// then, a zombie.
absl::Status AddTask(pid_t pid, const ImageDirectory& directory,
                     std::map<int32_t, TaskRecord>& left,
                     std::vector<TaskName>& names) {
  const absl::StatusOr<ProcessStat> stat = ProcessStat::Of(pid);
  // Whether it should be there is seen in the end.
  if (!stat.ok() || stat->state == 'Z' || stat->state == 'X') {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const int32_t image_pid, InnermostPid(pid));
  const auto record = left.find(image_pid);
  if (record == left.end() || record->second.zombie) {
    return Changed(pid, "is not in the images");
  }
  ASSIGN_OR_RETURN(const bool was_stopped, WasStopped(directory, image_pid));
  names.push_back({{pid, stat->start_ticks}, image_pid, was_stopped});
  left.erase(record);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TaskName>> NameTasks(const std::string& images,
                                                pid_t root) {
  ASSIGN_OR_RETURN(const CheckpointMetadata metadata,
                   CheckpointMetadata::Read(images));
  std::map<int32_t, TaskRecord> left;
  for (const TaskRecord& record : metadata.tasks) left[record.pid] = record;
  std::vector<TaskName> names;
  for (pid_t pid : TreeOf(root)) {
    RETURN_IF_ERROR(AddTask(pid, metadata.directory(), left, names));
  }
  for (const auto& [image_pid, record] : left) {
    if (!record.zombie) return Changed(image_pid, "of the images has ended");
  }
  return names;
}

}  // namespace pagelift
