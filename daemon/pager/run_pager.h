#ifndef PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_
#define PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_

#include "daemon/pager/pager_options.h"

namespace pagelift {

// Puts pageliftd together and runs it; returns main()'s result. Before any
// thread.
int RunPager(const PagerOptions& options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_RUN_PAGER_H_
