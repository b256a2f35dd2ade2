#ifndef PAGELIFT_DAEMON_PAGER_LAZY_PAGES_SERVE_LAZY_PAGES_H_
#define PAGELIFT_DAEMON_PAGER_LAZY_PAGES_SERVE_LAZY_PAGES_H_

#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/lazy_pages/lazy_pages_options.h"

namespace pagelift {

// What `pagelift lazy-pages` becomes: a worker that serves one restore and ends
// when its tasks have all their memory. Returns main()'s result. See
// RunWorkerService() for what it takes over and when it may be called.
int ServeLazyPages(const LazyPagesOptions& options, char* argv[],
                   HolderPage& page);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_LAZY_PAGES_SERVE_LAZY_PAGES_H_
