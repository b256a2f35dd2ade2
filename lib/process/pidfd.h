#ifndef PAGELIFT_LIB_PROCESS_PIDFD_H_
#define PAGELIFT_LIB_PROCESS_PIDFD_H_

#include <sys/types.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A process, held by a descriptor: its number may be given to another process,
// the descriptor never means another one.
//
// Thread-safe: every call is one system call on an immutable descriptor.
class PidFd {
 public:
  // kNotFound if there is no such process. Whoever opens by number has to know
  // that the number still means the right process; afterwards it is safe.
  static absl::StatusOr<PidFd> Open(pid_t pid);

  // Takes over a descriptor of the process that had this number.
  static PidFd Adopt(UniqueFd fd, pid_t pid) {
    return PidFd(std::move(fd), pid);
  }

  // Whether the process has ended; also true of a zombie.
  bool HasExited() const;

  // Sends it `signal`. kNotFound if it has ended already.
  absl::Status Signal(int signal) const;
  // SIGKILL.
  absl::Status Kill() const;

  int fd() const { return fd_.get(); }  // Readable once it has exited; ours.
  // The number at the time of Open(): to print, and for /proc while
  // !HasExited().
  pid_t pid() const { return pid_; }

 private:
  PidFd(UniqueFd fd, pid_t pid);

  UniqueFd fd_;
  pid_t pid_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_PIDFD_H_
