#ifndef PAGELIFT_CLIENT_CLI_MIGRATION_LIST_H_
#define PAGELIFT_CLIENT_CLI_MIGRATION_LIST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pagelift {

// A migration from this host, as its directory tells.
struct KnownMigration {
  std::string id;
  std::string state;  // As is recorded: planned ... released, aborted.
  int pid = 0;        // Of the root, when it was planned.
  std::string destination;
  uint64_t downtime_ms = 0;  // 0: not known.
  std::string reason;        // Why it was aborted.
  int64_t planned_unix_seconds = 0;
};

// Those that are known in the directory `state`, the oldest first; none if
// there is no such directory.
absl::StatusOr<std::vector<KnownMigration>> KnownMigrations(
    const std::string& state);

// A table, and {"migrations": […]} with a newline.
std::string MigrationsTable(const std::vector<KnownMigration>& known);
std::string MigrationsJson(const std::vector<KnownMigration>& known);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_MIGRATION_LIST_H_
