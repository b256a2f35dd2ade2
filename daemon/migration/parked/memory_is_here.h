#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_MEMORY_IS_HERE_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_MEMORY_IS_HERE_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace pagelift {

// Whether all memory of the processes below `root` is in their memory: a
// process that is itself still being restored lazily has pages that a dump
// would take for zeros, and CRIU does not notice. kFailedPrecondition says what
// to do. Takes time in proportion to the memory: to be asked before the tree is
// frozen.
absl::Status CheckMemoryIsHere(pid_t root);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_MEMORY_IS_HERE_H_
