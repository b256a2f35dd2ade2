#include "client/cli/unavailable_options.h"

#include "absl/time/time.h"
#include "daemon/pager/session/lost_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(UnavailableOptionsTest, TakesAnAction) {
  WhenUnavailable action = WhenUnavailable::kFreeze;
  EXPECT_THAT(WhenUnavailableInto(&action)("kill"), IsOk());
  EXPECT_EQ(action, WhenUnavailable::kKill);
  EXPECT_THAT(WhenUnavailableInto(&action)("panic"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(UnavailableOptionsTest, AnActionAndItsTimeBelongTogether) {
  const absl::Duration never = absl::ZeroDuration();
  const absl::Duration minute = absl::Minutes(1);
  EXPECT_EQ(UnavailableMisfit(WhenUnavailable::kFreeze, never), "");
  EXPECT_EQ(UnavailableMisfit(WhenUnavailable::kPoison, minute), "");
  EXPECT_EQ(UnavailableMisfit(WhenUnavailable::kKill, minute), "");
  EXPECT_THAT(UnavailableMisfit(WhenUnavailable::kFreeze, minute),
              HasSubstr("belong together"));
  EXPECT_THAT(UnavailableMisfit(WhenUnavailable::kPoison, never),
              HasSubstr("belong together"));
}

}  // namespace
}  // namespace pagelift
