#ifndef PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_
#define PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_

#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/pager_options.h"

namespace pagelift {

// Puts pageliftd's worker together and runs it; returns main()'s result. Goes
// on with what the worker before has left in `page`, which is shared with the
// holder. Before any other thread, and before anything is opened. `argv` is the
// program's.
int RunPager(const PagerOptions& options, char* argv[], HolderPage* page);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_
