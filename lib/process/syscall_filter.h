#ifndef PAGELIFT_LIB_PROCESS_SYSCALL_FILTER_H_
#define PAGELIFT_LIB_PROCESS_SYSCALL_FILTER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace pagelift {

// What a program calls beyond what serving over sockets and from files takes.
struct SyscallNeeds {
  // Starts programs, and looks at other processes and signals them.
  bool processes = false;
  std::vector<uint32_t> ioctls;  // Requests of ioctl(2).
};

// What becomes of a call that is neither listed nor one of those that end the
// process in any case.
enum class UnlistedCalls {
  kFail,  // EPERM.
  kTrap,  // SIGSYS.
};

// Filters the system calls of all threads of this process, and of all that it
// starts, for good (seccomp(2)). What is listed is in the .cc, and
// docs/security.md says why. Does nothing if the same filter is in force
// already, so that processes may inherit it and load it in turn without end.
//
// REQUIRES: PR_SET_NO_NEW_PRIVS is set.
absl::Status LoadSyscallFilter(const SyscallNeeds& needs,
                               UnlistedCalls unlisted);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SYSCALL_FILTER_H_
