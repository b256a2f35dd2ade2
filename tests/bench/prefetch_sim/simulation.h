#ifndef TESTS_BENCH_PREFETCH_SIM_SIMULATION_H_
#define TESTS_BENCH_PREFETCH_SIM_SIMULATION_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/prefetch/prefetch_policy.h"
#include "tests/bench/prefetch_sim/link.h"
#include "tests/bench/prefetch_sim/trace.h"
#include "tests/bench/prefetch_sim/window.h"

namespace pagelift::bench {

// What it came to that the threads of a trace had to wait for their pages.
struct Outcome {
  absl::Duration stall;   // Of all threads together.
  uint64_t demand = 0;    // Faults that had to ask.
  uint64_t late = 0;      // Faults on pages that were on their way.
  PageCount touched;      // Different ones.
  absl::Duration length;  // When the last touch was over.

  // Until then:
  PageCount sent;
  PageCount prefetched;
  PageCount useful;  // Of these, touched at some time.

  // When nothing was missing any more; nothing if something is for ever.
  std::optional<absl::Duration> all_in;

  // Which part of the touched pages was not asked for by a fault.
  double coverage() const;
  // Which part of what was prefetched was touched.
  double accuracy() const;
};

// Replays the touches of `trace` against a process whose memory is all missing
// at first. Each thread does what it did, in its own order, with its own
// pauses, and waits where a page is not there.
//
// A fault asks at once, on a stream of its own; what a policy has chosen is
// asked for as long as `window` is not full, and a request is answered by one
// message, usable when all of it is installed. The server answers at once, in
// the order in which requests come. Everything is deterministic.
Outcome Simulate(const Trace& trace, const LinkModel& link,
                 PrefetchPolicy& policy, Window& window);

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_SIMULATION_H_
