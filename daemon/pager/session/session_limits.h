#ifndef PAGELIFT_DAEMON_PAGER_SESSION_SESSION_LIMITS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_SESSION_LIMITS_H_

#include <cstdint>

namespace pagelift {

// What the targets of one session may have of a daemon, whatever they are up
// to, so that something is left for the other sessions. Beyond it they wait.
struct SessionLimits {
  // Forked processes that lack memory: each takes descriptors and memory of
  // ours. When there are so many, what processes say is not read before some
  // have ended, or have all their memory.
  uint64_t forked_processes = 10000;

  // Events that are read in a second, of all its processes: many times what
  // the programs of our tests do, which do little else than change their
  // memory.
  double events_per_second = 20000;
  // So many a fork counts as: it takes us as long.
  static constexpr double kEventsOfAFork = 20;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_SESSION_LIMITS_H_
