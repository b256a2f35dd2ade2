#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_LOCK_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_LOCK_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Sees to it that one receiver at a time has the directory: ends another one,
// which an earlier pageliftd has left, and waits for its end. `guard` is whom
// to end for that. Holds as long as what is returned is open.
absl::StatusOr<UniqueFd> LockReceiver(const std::string& directory, pid_t guard,
                                      absl::Duration patience);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_LOCK_H_
