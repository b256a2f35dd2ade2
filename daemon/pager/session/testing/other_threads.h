#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_OTHER_THREADS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_OTHER_THREADS_H_

#include <vector>

#include "lib/base/unique_fd.h"

namespace pagelift {

// The threads of this process that there are when this is made, but for the one
// that makes it. Looks at them without a new descriptor.
//
// Thread-compatible.
class OtherThreads {
 public:
  OtherThreads();

  // Whether none of them runs, or waits for nothing but a processor.
  bool AreAsleep() const;

 private:
  std::vector<UniqueFd> stats_;  // /proc/self/task/TID/stat
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_OTHER_THREADS_H_
