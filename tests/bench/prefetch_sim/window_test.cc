#include "tests/bench/prefetch_sim/window.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "tests/bench/prefetch_sim/link.h"

namespace pagelift::bench {
namespace {

TEST(FixedWindowTest, HoldsOneAndAHalfRoundTrips) {
  const FixedWindow window = FixedWindow::For(
      {"", absl::Milliseconds(1), 1000 * 4096 / 1e-3, absl::ZeroDuration()});
  EXPECT_EQ(window.size(), PageCount(1500));
  EXPECT_EQ(window.request(), PageCount(64));
}

TEST(FixedWindowTest, IsNeverTooSmallToKeepALinkBusy) {
  const FixedWindow window = FixedWindow::For(
      {"", absl::Microseconds(10), 4096 / 1e-3, absl::ZeroDuration()});
  EXPECT_EQ(window.size(), PageCount(16));
  EXPECT_EQ(window.request(), PageCount(1));
}

TEST(FixedWindowTest, AsksForAQuarterAtMost) {
  const FixedWindow window = FixedWindow::For(
      {"", absl::Microseconds(10), 4096 / 2e-6, absl::ZeroDuration()});
  EXPECT_EQ(window.request(), PageCount(4));
}

}  // namespace
}  // namespace pagelift::bench
