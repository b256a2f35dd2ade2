#ifndef PAGELIFT_CLIENT_CLI_MIGRATION_REPORT_H_
#define PAGELIFT_CLIENT_CLI_MIGRATION_REPORT_H_

#include <string>

#include "pagelift/v1/migration.pb.h"

namespace pagelift {

// A migration's progress for people and for machines.

// Whether the process runs at the destination.
bool RunsThere(const v1::MigrationProgress& progress);
// Whether it does here, for good.
bool RunsHere(const v1::MigrationProgress& progress);
// Whether nothing is left to do, for whoever wants to know where it runs.
bool IsOver(const v1::MigrationProgress& progress);

// "draining   63%  94.8 MiB left, 101.2 MiB/s, 3 s to go, 1234 faults": one
// line that is written over. `bytes_per_second` is what arrives now; 0: that is
// not known.
std::string MigrationLine(const v1::MigrationProgress& progress,
                          double bytes_per_second);

// A few lines about how it ended.
std::string MigrationSummary(const v1::MigrationProgress& progress);

// One JSON object, without a newline.
std::string MigrationJson(const v1::MigrationProgress& progress);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_MIGRATION_REPORT_H_
