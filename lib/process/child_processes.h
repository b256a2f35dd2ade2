#ifndef PAGELIFT_LIB_PROCESS_CHILD_PROCESSES_H_
#define PAGELIFT_LIB_PROCESS_CHILD_PROCESSES_H_

#include <sys/types.h>

#include <vector>

namespace pagelift {

// The children of all threads of `parent`, zombies included, in the order of
// their numbers, each once. Empty if it has none, or has ended. Needs no
// privilege.
std::vector<pid_t> ChildrenOf(pid_t parent);

// `root`, its children, theirs and so on, zombies included: parents before
// their children. Only whole while none of them runs.
std::vector<pid_t> TreeOf(pid_t root);

// Whether both have one address space, as after vfork(2). False, too, if one
// has ended or we may not look into both (kcmp(2)).
bool ShareMemory(pid_t one, pid_t other);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_CHILD_PROCESSES_H_
