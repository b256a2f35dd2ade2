// What the mix is for: on every trace and link, about as good as the best idea
// it is made of, and better than CRIU's order.

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "tests/bench/prefetch_sim/contenders.h"
#include "tests/bench/prefetch_sim/link.h"
#include "tests/bench/prefetch_sim/simulation.h"
#include "tests/bench/prefetch_sim/window.h"
#include "tests/bench/prefetch_sim/workload.h"

namespace pagelift::bench {
namespace {

using Kind = Contender::Kind;

constexpr char kTraces[] = "tests/bench/traces";
constexpr double kNearBest = 1.15;

class MixStallTest : public testing::TestWithParam<std::string> {};

absl::Duration StallOf(const Contender& contender, const Workload& workload,
                       const LinkModel& link) {
  const auto window = [](const LinkModel& model) {
    return std::make_unique<FixedWindow>(FixedWindow::For(model));
  };
  return Judge(contender, workload, link, window).stall;
}

void ExpectMixIsGood(const Workload& workload, const LinkModel& link) {
  SCOPED_TRACE(link.name);
  absl::Duration mix;
  absl::Duration sweep;
  absl::Duration best = absl::InfiniteDuration();
  for (const Contender& contender : Contenders()) {
    if (contender.kind == Kind::kForScale) continue;
    const absl::Duration stall = StallOf(contender, workload, link);
    if (contender.kind == Kind::kMix) {
      mix = stall;
    } else {
      best = std::min(best, stall);
    }
    if (contender.name == "sweep") sweep = stall;
  }
  EXPECT_LE(mix, kNearBest * best);
  EXPECT_LT(mix, sweep);
}

TEST_P(MixStallTest, IsNearTheBestOfItsPartsOnEveryLink) {
  const absl::StatusOr<Workload> workload = Workload::Load(kTraces, GetParam());
  ASSERT_THAT(workload, IsOk());
  for (const LinkModel& link : Links()) ExpectMixIsGood(*workload, link);
}

INSTANTIATE_TEST_SUITE_P(Traces, MixStallTest,
                         testing::Values("sqlite", "cpython", "jvm", "redis"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace pagelift::bench
