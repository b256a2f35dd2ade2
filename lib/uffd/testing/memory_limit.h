#ifndef PAGELIFT_LIB_UFFD_TESTING_MEMORY_LIMIT_H_
#define PAGELIFT_LIB_UFFD_TESTING_MEMORY_LIMIT_H_

#include <sys/types.h>

#include <string>

#include "lib/memory/page.h"

namespace pagelift {

// A control group of the memory controller, for a process to run out of memory
// in without being killed: what does not fit is refused. Needs root and aborts
// the test without; works with both versions of control groups.
//
// Thread-compatible. The processes in it have to have ended in the end.
class MemoryLimit {
 public:
  explicit MemoryLimit(PageCount limit);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  // What `process` has already stays with the group it was in.
  void Add(pid_t process);
  void Set(PageCount limit);

 private:
  const bool unified_;
  const std::string path_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_MEMORY_LIMIT_H_
