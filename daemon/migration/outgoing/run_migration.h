#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_RUN_MIGRATION_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_RUN_MIGRATION_H_

namespace pagelift {

// The server of one migration: carries out the plan in a directory, or goes on
// with what another one has begun there; see migration_place.h. Returns
// main()'s result: 0 if the process runs at the destination with all its
// memory, or stays here because it was to. REQUIRES: no other thread.
int RunMigration(int argc, char* argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_RUN_MIGRATION_H_
