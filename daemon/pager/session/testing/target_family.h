#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_FAMILY_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_FAMILY_H_

#include <cstdint>

#include "daemon/pager/session/testing/target_command.h"
#include "lib/memory/page.h"

namespace pagelift {

// Forks `family` from the calling thread, and waits for all of it. Its members
// check that page i of `pages` is image page i past `first_image`. Returns how
// many of them have found it so; fails where a process cannot be forked.
int64_t RunFamily(const Family& family, PageRange pages, PageCount first_image);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_FAMILY_H_
