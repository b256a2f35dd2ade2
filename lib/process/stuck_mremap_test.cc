#include "lib/process/stuck_mremap.h"

#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;

// Of a thread that was stuck, on Linux 6.18: a fixed place, and any.
TEST(StuckMremapTest, ReadsTheCall) {
  std::optional<StuckMremap> fixed = ParseStuckMremap(
      "25 0x1000021ae000 0x6000 0x3a000 0x3 0x100001bc3000 0x0 "
      "0x7ffc3a7902e0 0x7f59f5e47a00\n");
  ASSERT_TRUE(fixed.has_value());
  EXPECT_EQ(fixed->from, (PageRange{PageId(0x1000021ae), PageCount(6)}));
  EXPECT_EQ(fixed->new_count, PageCount(0x3a));
  EXPECT_EQ(fixed->to, PageId(0x100001bc3));
  EXPECT_EQ(fixed->GrownAt(*fixed->to),
            (PageRange{PageId(0x100001bc9), PageCount(0x34)}));
  std::optional<StuckMremap> anywhere = ParseStuckMremap(
      "25 0x1000 0x1001 0x2fff 0x1 0x5000 0x0 0x7ffc3a7902e0 0x7f59f5e47a00");
  ASSERT_TRUE(anywhere.has_value());
  EXPECT_EQ(anywhere->from.count, PageCount(2));
  EXPECT_EQ(anywhere->new_count, PageCount(3));
  EXPECT_EQ(anywhere->to, std::nullopt);
}

TEST(StuckMremapTest, OtherCallsAreNone) {
  for (const char* other :
       {"", "running", "-1 0x7f59f4fdbc58 0x563b12d39bb8",
        "202 0x563b34c66470 0x189 0x0 0x0 0x0 0xffffffff 0x7f 0x7f",
        // Does not move, does not grow, is cut off.
        "25 0x1000 0x1000 0x2000 0x0 0x0 0x0 0x7f 0x7f",
        "25 0x2000 0x2000 0x2000 0x1 0x0 0x0 0x7f 0x7f",
        "25 0x1000 0x1000 0x2000 0x1", "25 a b c d e f g h"}) {
    EXPECT_EQ(ParseStuckMremap(other), std::nullopt) << other;
  }
}

TEST(StuckMremapTest, AProcessThatWaitsForNoPageHasNone) {
  EXPECT_THAT(FindStuckMremaps(getpid()), IsOkAndHolds(IsEmpty()));
}

TEST(StuckMremapTest, SaysThatThereIsNoSuchProcess) {
  EXPECT_EQ(FindStuckMremaps(0x7ffffff0).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace pagelift
