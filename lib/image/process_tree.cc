#include "lib/image/process_tree.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "criu/pstree.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

constexpr uint32_t kGreatestPid = 1u << 22;

absl::StatusOr<TaskRecord> DecodeTask(const ImageFile& file,
                                      const ImageRecord& record) {
  criu::Task message;
  RETURN_IF_ERROR(file.Decode(record, &message));
  if (message.pid() == 0 || message.pid() > kGreatestPid ||
      message.ppid() > kGreatestPid) {
    return file.Corrupt(record,
                        absl::StrCat("has the impossible pid ", message.pid(),
                                     " or parent ", message.ppid()));
  }
  TaskRecord task;
  task.pid = static_cast<int32_t>(message.pid());
  task.ppid = static_cast<int32_t>(message.ppid());
  // A living task's first thread is the task itself. CRIU leaves a zombie's
  // only one unset: 0, or whatever its memory held.
  task.zombie =
      message.threads_size() == 1 && message.threads(0) != message.pid();
  if (task.zombie) return task;
  for (uint32_t thread : message.threads()) {
    if (thread == 0 || thread > kGreatestPid) {
      return file.Corrupt(record,
                          absl::StrCat("has the impossible thread ", thread));
    }
    task.threads.push_back(static_cast<int32_t>(thread));
  }
  if (task.threads.empty() || task.threads[0] != task.pid) {
    return file.Corrupt(record,
                        absl::StrCat("does not have its pid, ", task.pid,
                                     ", as its first thread"));
  }
  return task;
}

}  // namespace

absl::StatusOr<std::vector<TaskRecord>> DecodeProcessTree(
    const std::string& name, std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kProcessTree));
  std::vector<TaskRecord> tasks;
  std::set<int32_t> pids;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<ImageRecord> record, file.Next());
    if (!record) break;
    ASSIGN_OR_RETURN(TaskRecord task, DecodeTask(file, *record));
    if (!pids.insert(task.pid).second) {
      return file.Corrupt(*record,
                          absl::StrCat("has pid ", task.pid, " once more"));
    }
    tasks.push_back(std::move(task));
  }
  if (tasks.empty()) {
    return absl::DataLossError(absl::StrCat(name, " has no tasks"));
  }
  return tasks;
}

}  // namespace pagelift
