#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_

#include <sys/types.h>

namespace pagelift {

// Whether every thread of a restored process still waits in CRIU's restorer,
// which blocks all signals, for CRIU to let it go on: it has executed nothing
// of its own program. If CRIU has died that stays so. False, too, if the
// process has ended or we may not look into it. The caller makes sure that
// `pid` means the right process.
bool WaitsInRestorer(pid_t pid);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_
