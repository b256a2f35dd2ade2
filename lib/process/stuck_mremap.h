#ifndef PAGELIFT_LIB_PROCESS_STUCK_MREMAP_H_
#define PAGELIFT_LIB_PROCESS_STUCK_MREMAP_H_

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// A call of mremap(2) that moves and grows a mapping, whose thread waits for a
// missing page of a userfaultfd: Linux populates what a locked mapping has
// grown by before it sends the event of the move, and refuses to install pages
// as long as that event is to come (mremap_userfaultfd_prep() in
// mm/userfaultfd.c, do_mremap() in mm/mremap.c).
struct StuckMremap {
  PageRange from;
  PageCount new_count;
  std::optional<PageId> to;  // With MREMAP_FIXED; else the kernel chooses.

  // What it has grown by, if it lies at `place` now.
  PageRange GrownAt(PageId place) const {
    return {place + from.count, new_count - from.count};
  }
};

// Those of the threads of `pid`. kPermissionDenied if this process may not
// trace that one; kNotFound if there is none. The caller makes sure that `pid`
// still means the right process.
absl::StatusOr<std::vector<StuckMremap>> FindStuckMremaps(pid_t pid);

struct ThreadId {
  pid_t process = 0;
  pid_t thread = 0;
};
// The first such thread of every process that has one and that this process may
// trace.
std::vector<ThreadId> ThreadsInStuckMremaps();

// The call from the text of /proc/PID/task/TID/syscall, proc_pid_syscall(5);
// nothing if it is another system call, or neither moves nor grows.
std::optional<StuckMremap> ParseStuckMremap(std::string_view syscall);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_STUCK_MREMAP_H_
