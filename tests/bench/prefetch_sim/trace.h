#ifndef TESTS_BENCH_PREFETCH_SIM_TRACE_H_
#define TESTS_BENCH_PREFETCH_SIM_TRACE_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift::bench {

// What a process had in memory, and in which order it touched that first after
// all of it was taken away. tests/bench/traces/README.md says how it is
// written.
//
// A page goes by the address it had when it was taken, wherever it was moved
// since. Touches of what held nothing, or nothing any more, are not here. What
// the process drops before it has touched it stays among `pages`: some policy
// may have fetched it by then.
struct Trace {
  struct Touch {
    size_t thread;  // 0 to threads - 1.
    // What the thread has done since it had the page that it touched before, or
    // since the beginning.
    absl::Duration think;
    PageId page;
  };

  std::vector<PageRange> regions;  // In address order.
  std::vector<PageId> pages;       // Those that held data; ascending.
  std::vector<Touch> touches;      // In the order in which they were seen.
  size_t threads = 0;
};

absl::StatusOr<Trace> ParseTrace(absl::string_view text);

// In which order pages of `trace` were touched by another launch of the same
// program, each one once. A page of the other is the one at its address if a
// region begins where its own did; otherwise the one as far into the region
// that is as many regions from the lowest.
std::vector<PageId> OrderOfTouches(const Trace& other, const Trace& trace);

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_TRACE_H_
