#ifndef PAGELIFT_DAEMON_MIGRATION_HOSTS_HOOK_H_
#define PAGELIFT_DAEMON_MIGRATION_HOSTS_HOOK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace pagelift {

// A program of the user's that is run at certain moments of a migration, to
// move an address, for one: PROGRAM EVENT ID. docs/migration.md has the events.

constexpr absl::Duration kHookPatience = absl::Seconds(10);

// Returns when it has ended; OK also if `program` is empty. kAborted: its exit
// code is not 0. kDeadlineExceeded: it took longer than `patience`, and was
// killed.
absl::Status RunHook(const std::string& program, const std::string& event,
                     const std::string& id,
                     absl::Duration patience = kHookPatience);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_HOSTS_HOOK_H_
