#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_RUN_RECEIVER_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_RUN_RECEIVER_H_

namespace pagelift {

// Takes migrations to this host, for the pageliftd of the same command line,
// until that has gone. In place of one that is left from an earlier pageliftd.
// Returns main()'s result. REQUIRES: no other thread.
int RunReceiver(int argc, char* argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_RUN_RECEIVER_H_
