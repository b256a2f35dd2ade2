#ifndef PAGELIFT_DAEMON_PAGE_SERVER_RUN_PAGE_SERVER_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_RUN_PAGE_SERVER_H_

#include "daemon/page_server/page_server_options.h"

namespace pagelift {

// Serves until SIGTERM or SIGINT, and returns main()'s result. Called once,
// while the process has one thread: it blocks those signals and ignores
// SIGPIPE.
int RunPageServer(const PageServerOptions& options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_RUN_PAGE_SERVER_H_
