#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_PROCESS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_PROCESS_H_

#include <vector>

namespace pagelift {

// The target's side of restored_target.h: seats are sockets that bring
// commands. The first `threads` of them are served by a thread each, the others
// by the children that are forked for them. Never returns; ends with the test
// process.
[[noreturn]] void RunTarget(std::vector<int> seats, int threads);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_PROCESS_H_
