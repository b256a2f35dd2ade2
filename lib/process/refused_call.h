#ifndef PAGELIFT_LIB_PROCESS_REFUSED_CALL_H_
#define PAGELIFT_LIB_PROCESS_REFUSED_CALL_H_

#include "absl/status/status.h"

namespace pagelift {

// From now on a system call that a filter answers with SIGSYS ends this
// process, with a core if it may leave one, as it would without us; but the
// log says first which one it was. See LoadSyscallFilter().
absl::Status TellOfRefusedCalls();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_REFUSED_CALL_H_
