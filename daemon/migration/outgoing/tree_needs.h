#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_TREE_NEEDS_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_TREE_NEEDS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {

// What a tree needs of the host that it goes to, to be asked there. kNotFound:
// there is no process `root`.
absl::StatusOr<v1::PrepareRequest> TreeNeeds(pid_t root,
                                             const std::string& criu);

// What keeps the tree from leaving this host, and what to do about it, for
// people; `memory_for_spool` is to be copied into memory here.
std::vector<std::string> ObstaclesHere(pid_t root,
                                       const v1::PrepareRequest& needs,
                                       bool memory_for_spool);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_TREE_NEEDS_H_
