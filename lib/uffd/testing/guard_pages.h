#ifndef PAGELIFT_LIB_UFFD_TESTING_GUARD_PAGES_H_
#define PAGELIFT_LIB_UFFD_TESTING_GUARD_PAGES_H_

#include "lib/memory/page.h"

namespace pagelift {

// Makes every access raise SIGSEGV, as newer allocators do below a stack:
// MADV_GUARD_INSTALL, since Linux 6.13. Aborts the test where it fails.
void InstallGuard(PageRange range);

// Whether an access would. A page that is missing becomes present.
bool IsGuarded(PageId page);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_GUARD_PAGES_H_
