#ifndef PAGELIFT_DAEMON_PAGER_SESSION_SESSION_STATS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_SESSION_STATS_H_

#include <atomic>
#include <cstdint>

#include "lib/metrics/latency_histogram.h"

namespace pagelift {

// What a session counts. Thread-safe: every member is.
struct SessionStats {
  using Counter = std::atomic<uint64_t>;

  Counter faults{0};           // Messages read, of all kinds.
  Counter demand_fetches{0};   // Faults that had to ask the source.
  Counter late_faults{0};      // Faults whose page was on its way.
  Counter pages_installed{0};  // Image contents, zero contents included.
  Counter pages_zeroed{0};     // Zero because the image does not have them.
  Counter pages_lost{0};       // Poisoned.
  Counter forks{0};
  Counter remaps{0};
  Counter removes{0};
  Counter unmaps{0};
  // From a fault's being read to its page being installed.
  LatencyHistogram fault_latency;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_SESSION_STATS_H_
