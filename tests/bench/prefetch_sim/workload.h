#ifndef TESTS_BENCH_PREFETCH_SIM_WORKLOAD_H_
#define TESTS_BENCH_PREFETCH_SIM_WORKLOAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "tests/bench/prefetch_sim/trace.h"

namespace pagelift::bench {

// Two launches of a program with different work: policies are judged by the
// first, and know the second if they know anything.
struct Workload {
  std::string name;
  Trace trace;
  // Image pages of `trace`, in the order in which the other launch, or this one
  // itself, touches them.
  std::vector<ImagePage> recorded;
  std::vector<ImagePage> itself;

  // From NAME-1.tr and NAME-2.tr in `directory`.
  static absl::StatusOr<Workload> Load(const std::string& directory,
                                       const std::string& name);
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_WORKLOAD_H_
