#include "tests/bench/prefetch_sim/simulation.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/prefetch/address_sweep.h"
#include "lib/prefetch/demand_only.h"
#include "tests/bench/prefetch_sim/link.h"
#include "tests/bench/prefetch_sim/trace.h"
#include "tests/bench/prefetch_sim/window.h"

namespace pagelift::bench {
namespace {

// A page takes 4 µs.
const LinkModel kLink = {"", absl::Microseconds(100), 4096 / 4e-6,
                         absl::ZeroDuration()};
constexpr absl::Duration kThink = absl::Microseconds(50);
// Of a page that is asked for: the fault, the round trip, the page, its
// install.
const absl::Duration kFetch =
    absl::Nanoseconds(12'000 + 100'000 + 4'000 + 1'300);

// Page 10 is the first.
Trace TraceOf(uint64_t pages, std::vector<Trace::Touch> touches,
              size_t threads = 1) {
  Trace trace;
  for (uint64_t i = 0; i < pages; ++i) trace.pages.push_back(PageId(10 + i));
  trace.regions = {{PageId(10), PageCount(pages)}};
  trace.touches = std::move(touches);
  trace.threads = threads;
  return trace;
}

Outcome OfDemand(const Trace& trace) {
  DemandOnly policy;
  FixedWindow window = FixedWindow::For(kLink);
  return Simulate(trace, kLink, policy, window);
}

Outcome OfSweep(const Trace& trace) {
  AddressSweep policy;
  FixedWindow window(PageCount(16), PageCount(4));
  return Simulate(trace, kLink, policy, window);
}

TEST(SimulationTest, AFaultWaitsForItsPage) {
  const Outcome outcome = OfDemand(TraceOf(9, {{0, kThink, PageId(12)}}));
  EXPECT_EQ(outcome.stall, kFetch);
  EXPECT_EQ(outcome.length, kThink + kFetch);
  EXPECT_EQ(outcome.demand, 1);
  EXPECT_EQ(outcome.late, 0);
  EXPECT_EQ(outcome.sent, PageCount(1));
  EXPECT_EQ(outcome.coverage(), 0);
  EXPECT_EQ(outcome.all_in, std::nullopt);
}

TEST(SimulationTest, AThreadThinksAfterItHasWaited) {
  const Outcome outcome =
      OfDemand(TraceOf(9, {{0, kThink, PageId(12)}, {0, kThink, PageId(13)}}));
  EXPECT_EQ(outcome.length, kThink + kFetch + kThink + kFetch);
}

TEST(SimulationTest, APageThatIsThereIsNotWaitedFor) {
  const Outcome outcome =
      OfDemand(TraceOf(9, {{0, kThink, PageId(12)}, {0, kThink, PageId(12)}}));
  EXPECT_EQ(outcome.stall, kFetch);
  EXPECT_EQ(outcome.touched, PageCount(1));
}

TEST(SimulationTest, ThreadsWaitEachForItself) {
  const Outcome outcome = OfDemand(
      TraceOf(9, {{0, kThink, PageId(12)}, {1, 10 * kThink, PageId(15)}}, 2));
  EXPECT_EQ(outcome.stall, 2 * kFetch);
  EXPECT_EQ(outcome.length, 10 * kThink + kFetch);
}

TEST(SimulationTest, APageOnItsWayIsNotAskedForTwice) {
  const Outcome outcome = OfDemand(
      TraceOf(9, {{0, kThink, PageId(12)}, {1, 2 * kThink, PageId(12)}}, 2));
  EXPECT_EQ(outcome.demand, 1);
  EXPECT_EQ(outcome.late, 1);
  EXPECT_EQ(outcome.stall, kFetch + kFetch - kThink);
}

TEST(SimulationTest, WhatWasPrefetchedIsThere) {
  const Outcome outcome =
      OfSweep(TraceOf(40, {{0, absl::Milliseconds(1), PageId(30)}}));
  EXPECT_EQ(outcome.stall, absl::ZeroDuration());
  EXPECT_EQ(outcome.coverage(), 1);
  EXPECT_EQ(outcome.sent, PageCount(40));
  EXPECT_EQ(outcome.accuracy(), 1.0 / 40);
  ASSERT_TRUE(outcome.all_in.has_value());
  EXPECT_LT(*outcome.all_in, absl::Milliseconds(1));
}

TEST(SimulationTest, DemandStandsInLineBehindWhatIsOnItsWay) {
  // 16 pages are asked for when the fault comes, one link's microsecond later.
  const Outcome outcome =
      OfSweep(TraceOf(40, {{0, absl::ZeroDuration(), PageId(45)}}));
  EXPECT_EQ(outcome.demand, 1);
  EXPECT_EQ(outcome.stall,
            absl::Nanoseconds(100'000 + 16 * 4'000 + 4'000 + 1'300));
}

TEST(SimulationTest, BringsAllInAfterTheLastTouch) {
  const Outcome outcome =
      OfSweep(TraceOf(1000, {{0, absl::ZeroDuration(), PageId(10)}}));
  EXPECT_LT(outcome.sent, PageCount(100));
  ASSERT_TRUE(outcome.all_in.has_value());
  EXPECT_GT(*outcome.all_in, outcome.length);
}

}  // namespace
}  // namespace pagelift::bench
