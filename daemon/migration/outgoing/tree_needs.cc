#include "daemon/migration/outgoing/tree_needs.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/migration/hosts/host_facts.h"
#include "daemon/migration/parked/memory_is_here.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/process/child_processes.h"

namespace pagelift {
namespace {

// CRIU holds pages in pipes of so many, each of which has two descriptors.
constexpr uint64_t kPagesOfAPipe = 1024;
constexpr uint64_t kOtherDescriptors = 256;

// 0 if it has ended.
uint64_t ResidentBytes(pid_t process) {
  const absl::StatusOr<std::string> statm =
      ReadFile(absl::StrCat("/proc/", process, "/statm"));
  if (!statm.ok()) return 0;
  const std::vector<absl::string_view> fields = absl::StrSplit(*statm, ' ');
  uint64_t pages = 0;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[1], &pages)) return 0;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

bool Exists(pid_t process) {
  struct stat info;
  return stat(absl::StrCat("/proc/", process).c_str(), &info) == 0;
}

// kNotFound: there is no such process.
absl::StatusOr<std::vector<pid_t>> ProcessesOfTree(pid_t root) {
  if (!Exists(root)) {
    return absl::NotFoundError(absl::StrCat("there is no process ", root));
  }
  return TreeOf(root);
}

}  // namespace

absl::StatusOr<v1::PrepareRequest> TreeNeeds(pid_t root,
                                             const std::string& criu) {
  ASSIGN_OR_RETURN(const std::vector<pid_t> processes, ProcessesOfTree(root));
  v1::PrepareRequest needs;
  *needs.mutable_source() = GatherHostFacts(criu);
  uint64_t memory = 0;
  std::vector<int> with_memory;
  for (pid_t process : processes) {
    const uint64_t resident = ResidentBytes(process);
    memory += resident;
    if (resident > 0) with_memory.push_back(process);
  }
  needs.set_memory_bytes(memory);
  ASSIGN_OR_RETURN(std::vector<v1::PrepareRequest::File> files,
                   MappedFiles(with_memory));
  for (v1::PrepareRequest::File& file : files) {
    *needs.add_files() = std::move(file);
  }
  return needs;
}

std::vector<std::string> ObstaclesHere(pid_t root,
                                       const v1::PrepareRequest& needs,
                                       bool memory_for_spool) {
  std::vector<std::string> obstacles;
  const absl::StatusOr<std::vector<pid_t>> processes = ProcessesOfTree(root);
  if (!processes.ok()) {
    return {std::string(processes.status().message())};
  }
  if (std::find(processes->begin(), processes->end(), getpid()) !=
      processes->end()) {
    obstacles.push_back(absl::StrCat(
        "process ", root,
        " is what `pagelift` itself was started from: start it elsewhere"));
  }
  if (needs.source().criu_version().empty()) {
    obstacles.push_back(
        "criu does not start here: install one that does, or name it with "
        "--criu");
  }
  if (const absl::Status here = CheckMemoryIsHere(root); !here.ok()) {
    obstacles.push_back(std::string(here.message()));
  }
  const v1::HostFacts& host = needs.source();
  const uint64_t descriptors =
      kOtherDescriptors +
      2 * (needs.memory_bytes() / sysconf(_SC_PAGESIZE) / kPagesOfAPipe);
  if (descriptors > host.max_open_files()) {
    obstacles.push_back(absl::StrCat("criu needs ", descriptors,
                                     " open files for so much memory, and may "
                                     "have ",
                                     host.max_open_files(),
                                     ": raise `ulimit -Hn`"));
  }
  if (memory_for_spool &&
      host.available_memory_bytes() < needs.memory_bytes()) {
    obstacles.push_back(absl::StrCat(
        needs.memory_bytes() >> 20, " MiB of memory are copied, and ",
        host.available_memory_bytes() >> 20,
        " are free: give --spool DIR on a disk, or --spool none"));
  }
  return obstacles;
}

}  // namespace pagelift
