#ifndef PAGELIFT_LIB_PROCESS_SANDBOX_MODE_H_
#define PAGELIFT_LIB_PROCESS_SANDBOX_MODE_H_

#include "lib/base/command_line.h"

namespace pagelift {

// How a program of ours confines itself; see EnterSandbox().
enum class SandboxMode {
  kOn,
  // For tests: a system call that the program is not known to need ends it.
  kStrict,
  kOff,
};

// A --sandbox: on, strict or off.
Option SandboxOption(SandboxMode* mode);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SANDBOX_MODE_H_
