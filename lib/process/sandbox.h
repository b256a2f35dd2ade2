#ifndef PAGELIFT_LIB_PROCESS_SANDBOX_H_
#define PAGELIFT_LIB_PROCESS_SANDBOX_H_

#include "absl/status/status.h"
#include "lib/process/capabilities.h"
#include "lib/process/sandbox_mode.h"
#include "lib/process/syscall_filter.h"

namespace pagelift {

// What a confined program needs nevertheless.
struct SandboxNeeds {
  CapabilitySet capabilities;  // As far as it has them.
  SyscallNeeds calls;
};

// Confines this process, in all its threads, and all that it starts, for good:
// nothing that it executes gets more rights than it has, it keeps no capability
// but those it needs, and its system calls are filtered. docs/security.md tells
// what is kept from whom by that. To be called before anything is read that
// somebody else has written. May be called again, by a process that has
// inherited the confinement of another. An error says what the user may do.
//
// With kStrict a call that is not listed ends the process, and the log says
// which; else it fails. With kOff this does nothing.
//
// REQUIRES: no other thread of this process has more capabilities.
absl::Status EnterSandbox(SandboxMode mode, const SandboxNeeds& needs);

// Has the log say if this process is less confined than it may be.
void TellOfSandbox(SandboxMode mode);

// Not with the address or the thread sanitizer, which make calls of their own,
// and look at the process's threads from outside: the same as kOff then.
bool SandboxIsBuilt();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SANDBOX_H_
