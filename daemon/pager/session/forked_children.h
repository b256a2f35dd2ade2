#ifndef PAGELIFT_DAEMON_PAGER_SESSION_FORKED_CHILDREN_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_FORKED_CHILDREN_H_

#include <sys/types.h>

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/pager/session/address_space.h"
#include "lib/base/unique_fd.h"
#include "lib/process/registered_ranges.h"

namespace pagelift {

// Address spaces of forked children that are held until their process is known.
//
// A fork event tells neither the child's number nor what MADV_WIPEONFORK made
// zero in it and MADV_DONTFORK left out of it, over which it may grow without a
// word. So the child is looked for among its parent's children, which
// takes until fork(2) has put it there, and judged by its mappings and its
// parent's: see wiped_memory.h. Until then its events are not read: it may run,
// but cannot have moved or unmapped anything.
//
// Lives on the session's event thread.
class ForkedChildren {
 public:
  ForkedChildren();

  bool empty() const { return held_.empty(); }

  // `children` are held; `parent` has just forked them.
  void Add(std::vector<std::shared_ptr<AddressSpace>> children, pid_t parent);

  // Looks again, and releases what can be: the children whose process was
  // found or is not going to be. They are to be served from now on. `is_known`
  // tells that a process has an address space of its own already.
  std::vector<std::shared_ptr<AddressSpace>> Release(
      absl::FunctionRef<bool(pid_t)> is_known);

 private:
  struct Held {
    std::shared_ptr<AddressSpace> child;
    pid_t parent;
    // As they were when the event had been read; of all that were read then.
    std::shared_ptr<const absl::StatusOr<RegisteredRanges>> parents_mappings;
    absl::Duration since;  // MonotonicNow().
  };
  using Mappings = absl::flat_hash_map<pid_t, RegisteredRanges>;

  // REQUIRES: `candidate` is in `seen_`, where it is no more afterwards.
  void Identify(const Held& held, pid_t candidate);
  void GiveUp(const Held& held);
  // Processes that may be those of the children of `parent` that are held.
  // Moves what was seen of them from `seen_before`, or looks.
  std::vector<pid_t> CandidatesOf(pid_t parent,
                                  absl::FunctionRef<bool(pid_t)> is_known,
                                  Mappings& seen_before);

  std::vector<Held> held_;  // The oldest first.
  // The mappings of those that may be held children, as they were when they
  // were found: reading them costs milliseconds, and two hundred children at
  // once are looked at again and again. Only of those that the last look found,
  // a few milliseconds ago, in which no number comes around.
  Mappings seen_;
  UniqueFd spare_fd_;  // Closed while we look: /proc needs one.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_FORKED_CHILDREN_H_
