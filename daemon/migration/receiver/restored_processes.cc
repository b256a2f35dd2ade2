#include "daemon/migration/receiver/restored_processes.h"

#include <sys/types.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/process/child_processes.h"
#include "lib/process/descendants.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

bool Means(const std::optional<ProcessName>& name, pid_t pid) {
  return name.has_value() && name->pid == pid;
}

// Each process once.
class Found {
 public:
  void Add(PidFd process) {
    const auto is_it = [&process](const PidFd& other) {
      return other.pid() == process.pid();
    };
    if (process.HasExited() ||
        std::any_of(processes_.begin(), processes_.end(), is_it)) {
      return;
    }
    processes_.push_back(std::move(process));
  }
  void AddBelow(pid_t ancestor) {
    for (PidFd& process : DescendantsOf(ancestor)) Add(std::move(process));
  }
  // Also what is below it if it is a zombie.
  void AddTree(const std::optional<ProcessName>& name) {
    if (!name.has_value()) return;
    absl::StatusOr<PidFd> process = OpenProcess(*name);
    if (!process.ok()) return;
    Add(*std::move(process));
    AddBelow(name->pid);
  }
  std::vector<PidFd> Take() && { return std::move(processes_); }

 private:
  std::vector<PidFd> processes_;
};

}  // namespace

std::vector<PidFd> RestoredTasks(const RestoreNotes& notes) {
  Found found;
  if (!notes.of_this_boot || !notes.held()) return {};
  found.AddTree(notes.root);
  for (const ProcessName& task : notes.tasks) found.AddTree(task);
  if (!notes.keeper.has_value() || !OpenProcess(*notes.keeper).ok()) {
    return std::move(found).Take();
  }
  for (pid_t child : ChildrenOf(notes.keeper->pid)) {
    if (Means(notes.criu, child)) continue;
    const absl::StatusOr<ProcessName> name = NameOfProcess(child);
    if (name.ok()) found.AddTree(*name);
  }
  return std::move(found).Take();
}

std::vector<PidFd> RestoreProcesses(const RestoreNotes& notes) {
  Found found;
  if (!notes.of_this_boot) return {};
  // Criu first: who kills them in this order kills it before what it makes.
  found.AddTree(notes.criu);
  found.AddTree(notes.root);
  for (const ProcessName& task : notes.tasks) found.AddTree(task);
  if (notes.keeper.has_value() && OpenProcess(*notes.keeper).ok()) {
    found.AddBelow(notes.keeper->pid);
  }
  return std::move(found).Take();
}

RestorerPlace PlaceInRestorer(absl::Span<const PidFd> tasks) {
  RestorerPlace place = RestorerPlace::kWaiting;
  for (const PidFd& task : tasks) {
    place = std::max(place, PlaceInRestorer(task.pid()));
  }
  return place;
}

}  // namespace pagelift
