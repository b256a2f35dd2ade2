#ifndef PAGELIFT_CLIENT_CLI_MIGRATE_OPTIONS_H_
#define PAGELIFT_CLIENT_CLI_MIGRATE_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "daemon/pager/session/lost_source.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {

// What `pagelift migrate` is told on its command line.
struct MigrateOptions {
  int pid = 0;
  std::string to;      // HOST:PORT.
  std::string resume;  // An id, in place of those two.
  std::string tls;
  bool insecure = false;
  std::string server_name;
  std::string certified_as;
  std::string listen;  // Empty: any port, where the destination sees us.
  std::string spool = "memory";  // Or "none", or a directory.
  absl::Duration spool_after = absl::Seconds(2);
  std::string criu;
  std::string hook;
  std::vector<std::string> dump_options;
  std::vector<std::string> restore_options;
  PrefetchMode prefetch;
  WhenUnavailable when_unavailable = WhenUnavailable::kFreeze;
  absl::Duration unavailable_after;
  absl::Duration give_up_after = absl::Seconds(30);
  std::string state = kDefaultMigrations;
  bool no_wait = false;
  bool dry_run = false;
  bool list = false;
  bool json = false;
};

inline constexpr char kDefaultMigrationPort[] = "7078";

// Empty: go on. Otherwise main()'s result; the user has been told.
std::optional<int> ParseMigrateOptions(int argc, const char* const argv[],
                                       MigrateOptions* options);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_MIGRATE_OPTIONS_H_
