#ifndef PAGELIFT_LIB_PROCESS_GUARD_H_
#define PAGELIFT_LIB_PROCESS_GUARD_H_

#include <sys/types.h>

#include <vector>

#include "absl/functional/function_ref.h"

namespace pagelift {

// One of the processes that do the work of a guarded program.
struct GuardedLife {
  int number = 0;  // 0: the first.
  pid_t guard = 0;
};

// Has `work` done in a process of its own, which shares our descriptors: when
// it is killed none is closed, those that it has opened included, and another
// one does `work`, with what is open. Ends when one of them has ended by
// itself, with its exit code. SIGTERM and SIGINT are theirs, and blocked.
//
// The guard itself is this process, called `name` from then on, of at most 15
// bytes. It does nothing else, and its death harms nobody: the work goes on,
// but the next death of that is for good. REQUIRES: no other thread.
int RunGuarded(const char* name,
               absl::FunctionRef<int(const GuardedLife&)> work);

// For one that goes on: closes all descriptors from 3 on but `keep`, which is
// what those before it have left open for nobody.
void CloseAllBut(const std::vector<int>& keep);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_GUARD_H_
