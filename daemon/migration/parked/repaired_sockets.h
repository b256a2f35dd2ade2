#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_REPAIRED_SOCKETS_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_REPAIRED_SOCKETS_H_

#include "absl/status/status.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// Puts the TCP sockets of a process that runs no instruction back to work that
// CRIU has left in repair mode. It leaves them so when it is killed while it
// holds a tree. In repair mode they do not talk to anybody, and the program
// takes what it reads from them for an error.
// kNotFound if it has ended.
absl::Status EndRepairOfSockets(const PidFd& process);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_REPAIRED_SOCKETS_H_
