#ifndef PAGELIFT_LIB_UFFD_TESTING_FORKED_CHILD_H_
#define PAGELIFT_LIB_UFFD_TESTING_FORKED_CHILD_H_

#include <sys/types.h>

#include <functional>

#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {

// A child of this process, forked by a thread of its own because fork(2) waits
// until somebody has read its event.
//
// Thread-compatible.
class ForkedChild {
 public:
  // The child runs `body` once it is told to, and ends with what that returns;
  // it may touch memory and make system calls, no more.
  explicit ForkedChild(std::function<int()> body = [] { return 0; });
  // Ends the child if it has not ended.
  ~ForkedChild();
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;

  FaultingThread& forking_thread() { return thread_; }
  pid_t pid();  // Waits for fork(2).
  void Run();
  // Waits for the child's end; -1 if it did not end by itself.
  int ExitCode();

 private:
  UniqueFd our_end_;
  UniqueFd child_end_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  FaultingThread thread_;  // Last: joined before the rest goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_FORKED_CHILD_H_
