#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_PLACE_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_PLACE_H_

#include <string>

namespace pagelift {

inline constexpr char kDefaultMigrations[] = "/var/lib/pagelift/migrations";

// What lies in the directory of a migration at its source, which is called by
// its id.
struct MigrationPlace {
  static constexpr char kPlan[] = "plan";      // A MigrationPlan.
  static constexpr char kRecord[] = "record";  // A SourceRecord.
  // A SourceDescriptors.
  static constexpr char kDescriptors[] = "descriptors";
  // How it ended: a MigrationProgress.
  static constexpr char kResult[] = "result";

  std::string directory;

  std::string images() const { return directory + "/images"; }
  // Whom to ask: pagelift.v1.MigrationSource.
  std::string socket() const { return directory + "/socket"; }
  std::string log() const { return directory + "/log"; }
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_PLACE_H_
