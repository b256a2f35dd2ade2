#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_PREDECESSORS_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_PREDECESSORS_H_

#include <sys/types.h>

#include "daemon/pager/holder/holder_page.h"

namespace pagelift {

// Writes down which process `pid` is, so that it can be told from another one
// that gets its number later.
void SetProcess(HolderPage::Process& process, pid_t pid);

// Returns a lock on `page`, which is open as `fd`: a descriptor that is never
// to be handed to anybody, so that it is closed when all who share our table of
// descriptors have ended. As long as somebody else has it, kills the processes
// that are written down: two daemons that got the same descriptors from a
// service manager would serve the same memory. -1, with errno, if there is no
// lock to be had.
int LockAgainstPredecessors(HolderPage& page, int fd);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_PREDECESSORS_H_
