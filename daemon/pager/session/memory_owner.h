#ifndef PAGELIFT_DAEMON_PAGER_SESSION_MEMORY_OWNER_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_MEMORY_OWNER_H_

#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "lib/process/pidfd.h"
#include "lib/process/stuck_mremap.h"

namespace pagelift {

// To which process the memory behind a userfaultfd belongs: that of the one of
// `sleepers`, threads that wait for a page of some userfaultfd, which wakes and
// sleeps again whenever `wake` wakes all who wait for this one, and else never.
// Nothing if none does so eight times in a row, in an order drawn at random:
// others may wake theirs, too.
//
// A fork event does not tell, and a child whose parent leaves at once is found
// in nobody's list of children. Takes some 10 ms for each thread that sleeps
// on, 20 ms for the right one. Being woken does a thread no harm.
std::optional<PidFd> FindOwner(absl::FunctionRef<void()> wake,
                               const std::vector<ThreadId>& sleepers);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_MEMORY_OWNER_H_
