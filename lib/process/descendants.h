#ifndef PAGELIFT_LIB_PROCESS_DESCENDANTS_H_
#define PAGELIFT_LIB_PROCESS_DESCENDANTS_H_

#include <sys/types.h>

#include <vector>

#include "lib/process/pidfd.h"

namespace pagelift {

// The processes below `ancestor`, at any depth, a parent before its children;
// without zombies, but with what is below them. What is forked meanwhile may be
// missing. The caller makes sure that `ancestor` means the right process.
std::vector<PidFd> DescendantsOf(pid_t ancestor);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_DESCENDANTS_H_
