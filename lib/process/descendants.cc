#include "lib/process/descendants.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/process/child_processes.h"

namespace pagelift {
namespace {

bool Contains(const std::vector<pid_t>& pids, pid_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

}  // namespace

std::vector<PidFd> DescendantsOf(pid_t ancestor) {
  std::vector<PidFd> found;
  std::vector<pid_t> parents = {ancestor};
  for (size_t next = 0; next < parents.size(); ++next) {
    const pid_t parent = parents[next];
    for (pid_t child : ChildrenOf(parent)) {
      absl::StatusOr<PidFd> process = PidFd::Open(child);
      if (!process.ok() || Contains(parents, child)) continue;
      parents.push_back(child);
      if (process->HasExited()) continue;
      // The number may have been given to another one before we had opened it.
      if (Contains(ChildrenOf(parent), child)) {
        found.push_back(*std::move(process));
      }
    }
  }
  return found;
}

}  // namespace pagelift
