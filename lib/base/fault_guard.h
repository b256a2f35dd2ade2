#ifndef PAGELIFT_LIB_BASE_FAULT_GUARD_H_
#define PAGELIFT_LIB_BASE_FAULT_GUARD_H_

#include "absl/functional/function_ref.h"

namespace pagelift {

// Runs `read`, which reads memory mapped from a file that somebody else might
// truncate or whose disk might fail. Returns false if that raised SIGBUS;
// `read` was then left in the middle, so it must own nothing that needs a
// destructor. Thread-safe; nests. The first use installs a process-wide SIGBUS
// handler, which passes on any SIGBUS that is not ours.
bool RunGuarded(absl::FunctionRef<void()> read);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_FAULT_GUARD_H_
