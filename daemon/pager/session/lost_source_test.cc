#include "daemon/pager/session/lost_source.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

TEST(LostSourceTest, WhatIsPrintedIsParsed) {
  for (WhenUnavailable action :
       {WhenUnavailable::kFreeze, WhenUnavailable::kPoison,
        WhenUnavailable::kKill}) {
    EXPECT_THAT(ParseWhenUnavailable(ToString(action)), IsOkAndHolds(action));
  }
  EXPECT_THAT(ParseWhenUnavailable(""), IsOkAndHolds(WhenUnavailable::kFreeze));
  EXPECT_EQ(ParseWhenUnavailable("panic").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LostSourceTest, OneThatIsSlowIsNotLost) {
  LostSource lost;
  EXPECT_FALSE(lost.IsLost(absl::Hours(1000), absl::Hours(1000)));
  lost.after = absl::Seconds(10);
  EXPECT_TRUE(lost.IsLost(absl::Seconds(10), absl::Seconds(10)));
  EXPECT_FALSE(lost.IsLost(absl::Seconds(100), absl::Seconds(9)));
  EXPECT_FALSE(lost.IsLost(absl::Seconds(9), absl::Seconds(100)));
}

}  // namespace
}  // namespace pagelift
