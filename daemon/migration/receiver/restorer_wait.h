#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_

#include <sys/types.h>

namespace pagelift {

// Where the threads of a restored process are. CRIU's restorer blocks all
// signals until it goes over to the program, whose signals then are its own.
enum class RestorerPlace {
  kWaiting,  // All wait in it for CRIU: if CRIU has died, for ever.
  kInside,   // All are in it, and some may be about to leave it.
  kLeft,     // One has left it, or never was there.
};

// kLeft, too, if the process has ended or we may not look into it. The caller
// makes sure that `pid` means the right process.
RestorerPlace PlaceInRestorer(pid_t pid);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORER_WAIT_H_
