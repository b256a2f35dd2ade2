#ifndef TESTS_BENCH_PREFETCH_SIM_CONTENDERS_H_
#define TESTS_BENCH_PREFETCH_SIM_CONTENDERS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/prefetch/prefetch_policy.h"
#include "tests/bench/prefetch_sim/link.h"
#include "tests/bench/prefetch_sim/simulation.h"
#include "tests/bench/prefetch_sim/window.h"
#include "tests/bench/prefetch_sim/workload.h"

namespace pagelift::bench {

// A policy to be compared with others.
struct Contender {
  enum class Kind {
    kSingle,   // One idea, which the mix must be about as good as.
    kMix,      // What a pager uses.
    kForScale  // Not to be had, or not the same window for all.
  };

  std::string name;
  Kind kind;
  std::function<std::unique_ptr<PrefetchPolicy>(const Workload&)> policy;
  // Empty: that of all others.
  std::function<std::unique_ptr<Window>()> window;
};

using WindowFactory =
    std::function<std::unique_ptr<Window>(const LinkModel& link)>;

const std::vector<Contender>& Contenders();

// From one in a data centre to a bad one.
const std::vector<LinkModel>& Links();

Outcome Judge(const Contender& contender, const Workload& workload,
              const LinkModel& link, const WindowFactory& window);

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_CONTENDERS_H_
