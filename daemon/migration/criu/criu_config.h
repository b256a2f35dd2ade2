#ifndef PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_CONFIG_H_
#define PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pagelift {

enum class CriuCommand { kDump, kRestore };

// The contents of a configuration file (criu(8)) that says what these options
// would say on a command line of that command. kInvalidArgument, and why: one
// of them cannot be said there, or would make something else of a tree that is
// parked, or of a restore that is held.
absl::StatusOr<std::string> CriuConfig(CriuCommand command,
                                       const std::vector<std::string>& options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_CONFIG_H_
