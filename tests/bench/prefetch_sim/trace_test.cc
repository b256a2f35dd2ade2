#include "tests/bench/prefetch_sim/trace.h"

#include <cstdint>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"

namespace pagelift::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPages[] =
    "V 10000 20000 [heap]\n"
    "P 11000\n"
    "P 10000\n"
    "P 13000\n";

Trace Parsed(const std::string& text) {
  absl::StatusOr<Trace> trace = ParseTrace(text);
  EXPECT_THAT(trace, IsOk());
  return trace.ok() ? *std::move(trace) : Trace();
}

// Thread, nanoseconds of thought, page.
std::vector<std::tuple<size_t, int64_t, uint64_t>> Touches(const Trace& trace) {
  std::vector<std::tuple<size_t, int64_t, uint64_t>> touches;
  for (const Trace::Touch& touch : trace.touches) {
    touches.emplace_back(touch.thread, absl::ToInt64Nanoseconds(touch.think),
                         touch.page.raw());
  }
  return touches;
}

using T = std::tuple<size_t, int64_t, uint64_t>;

TEST(TraceTest, ReadsRegionsAndPages) {
  const Trace trace = Parsed(std::string(kPages) + "F 5 11000 7 0 0 6\n");
  EXPECT_THAT(trace.regions, ElementsAre(PagesOf(0x10000, 0x20000)));
  EXPECT_THAT(trace.pages,
              ElementsAre(PageId(0x10), PageId(0x11), PageId(0x13)));
}

TEST(TraceTest, TimesThoughtByThread) {
  const Trace trace = Parsed(std::string(kPages) +
                             "F 5 11000 7 0 0 16\n"
                             "F 8 10000 9 1 0 20\n"
                             "F 30 13000 7 0 0 40\n");
  EXPECT_EQ(trace.threads, 2);
  EXPECT_THAT(Touches(trace),
              ElementsAre(T(0, 5, 0x11), T(1, 8, 0x10), T(0, 14, 0x13)));
}

TEST(TraceTest, TouchesOfNothingAreThought) {
  const Trace trace = Parsed(std::string(kPages) +
                             "F 5 18000 7 0 1 16\n"
                             "F 18 19000 7 0 0 26\n"
                             "F 30 13000 7 0 0 40\n");
  EXPECT_THAT(Touches(trace), ElementsAre(T(0, 5 + 2 + 4, 0x13)));
}

TEST(TraceTest, AMovedPageIsTheSamePage) {
  const Trace trace = Parsed(std::string(kPages) +
                             "M 1 10000 50000 4000\n"
                             "M 2 51000 90000 3000\n"
                             "F 5 90000 7 0 0 6\n"
                             "F 7 92000 7 0 0 8\n");
  EXPECT_THAT(Touches(trace), ElementsAre(T(0, 5, 0x11), T(0, 1, 0x13)));
}

TEST(TraceTest, NamesALineThatIsNotOfATrace) {
  EXPECT_THAT(ParseTrace("F 5 zz 7 0 0 6\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("F 5 zz 7 0 0 6")));
  EXPECT_THAT(ParseTrace("X\n"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseTrace(kPages), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(OrderOfTouchesTest, HasEachPageThatBothHaveOnce) {
  const Trace trace = Parsed(std::string(kPages) + "F 5 10000 7 0 0 6\n");
  const Trace other = Parsed(
      "V 10000 20000 \nP 13000\nP 14000\nP 10000\n"
      "F 1 13000 1 0 0 2\n"
      "F 3 13000 2 0 0 4\n"
      "F 5 14000 1 0 0 6\n"
      "F 7 10000 1 0 0 8\n");
  EXPECT_THAT(OrderOfTouches(other, trace),
              ElementsAre(PageId(0x13), PageId(0x10)));
}

TEST(OrderOfTouchesTest, GoesByRegionAndOffsetWhereAddressesDiffer) {
  const Trace trace = Parsed(
      "V 10000 20000 \nP 10000\nV 50000 60000 \nP 53000\n"
      "F 5 10000 7 0 0 6\n");
  const Trace other = Parsed(
      "V 10000 20000 \nP 10000\nV 70000 80000 \nP 73000\n"
      "F 5 73000 7 0 0 6\nF 7 10000 7 0 0 8\n");
  EXPECT_THAT(OrderOfTouches(other, trace),
              ElementsAre(PageId(0x53), PageId(0x10)));
}

}  // namespace
}  // namespace pagelift::bench
