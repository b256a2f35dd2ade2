#ifndef PAGELIFT_DAEMON_MIGRATION_HOSTS_HOST_FACTS_H_
#define PAGELIFT_DAEMON_MIGRATION_HOSTS_HOST_FACTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {

// What a process tree may depend on of the host that it runs on.

// Of this host. `criu` is asked for its version; empty: there is none.
v1::HostFacts GatherHostFacts(const std::string& criu);

// The instructions that the first processor of a /proc/cpuinfo has and that a
// program may have found out about, sorted.
std::vector<std::string> InstructionSets(absl::string_view cpuinfo);

// The files that the processes have mapped as programs or libraries, each once,
// with their sizes. kNotFound: a process has ended.
absl::StatusOr<std::vector<v1::PrepareRequest::File>> MappedFiles(
    const std::vector<int>& processes);

// What keeps what `request` tells of from running on a host with `facts`, and
// what to do about it, for people.
std::vector<std::string> ObstaclesAt(const v1::HostFacts& facts,
                                     const v1::PrepareRequest& request);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_HOSTS_HOST_FACTS_H_
