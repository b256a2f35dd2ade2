#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_RIGHTS_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_RIGHTS_H_

#include <linux/capability.h>

namespace pagelift {

// What workers do with capabilities, as far as we have them.
inline constexpr int kWorkerCapabilities[] = {
    // Look at mappings, pages and system calls of targets that may more than
    // we, as those of root do by now, or that are another user's.
    CAP_SYS_PTRACE,
    // End another user's target, by --when-unavailable or because its
    // userfaultfd is lost.
    CAP_KILL,
    // Read images, and files of /proc, that only their owner may read.
    CAP_DAC_READ_SEARCH,
};

// Gives up every other capability, and that a program which is executed may get
// more than its caller has: for good, and for all that this process starts.
// Does nothing if the command line says --sandbox=off, nor in a build with a
// sanitizer: see SandboxIsBuilt().
//
// The holder itself needs less. But it executes the program that its worker
// wants to be upgraded to: a worker that was taken over is to gain nothing by
// that. REQUIRES: no other thread.
void GiveUpRights(int argc, char* const argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_RIGHTS_H_
