#include "lib/base/rate_budget.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

constexpr absl::Duration kNow = absl::Hours(5);

TEST(RateBudgetTest, WhatIsSpentAtOnceIsOwed) {
  RateBudget budget(100, absl::Seconds(1));
  EXPECT_EQ(budget.Pause(kNow), absl::ZeroDuration());
  budget.Spend(100, kNow);
  EXPECT_EQ(budget.Pause(kNow), absl::ZeroDuration());
  budget.Spend(50, kNow);
  EXPECT_EQ(budget.Pause(kNow), absl::Milliseconds(500));
  EXPECT_EQ(budget.Pause(kNow + absl::Milliseconds(300)),
            absl::Milliseconds(200));
  EXPECT_EQ(budget.Pause(kNow + absl::Seconds(5)), absl::ZeroDuration());
}

TEST(RateBudgetTest, NoMoreIsSavedUpThanABurst) {
  RateBudget budget(100, absl::Seconds(1));
  budget.Spend(1, kNow);
  const absl::Duration later = kNow + absl::Hours(1);
  budget.Spend(200, later);
  EXPECT_EQ(budget.Pause(later), absl::Seconds(1));
}

TEST(RateBudgetTest, AReserveIsLeftForOthers) {
  RateBudget budget(100, absl::Seconds(1));
  budget.Spend(90, kNow);
  EXPECT_EQ(budget.Pause(kNow), absl::ZeroDuration());
  EXPECT_EQ(budget.Pause(kNow, absl::Milliseconds(250)),
            absl::Milliseconds(150));
}

TEST(RateBudgetTest, WithoutARateThereIsAlwaysEnough) {
  RateBudget budget;
  EXPECT_EQ(budget.Pause(kNow, absl::Seconds(1)), absl::ZeroDuration());
  budget.Spend(1e18, kNow);
  EXPECT_EQ(budget.Pause(kNow), absl::ZeroDuration());
  EXPECT_EQ(budget.Pause(kNow, absl::Seconds(1)), absl::ZeroDuration());
}

}  // namespace
}  // namespace pagelift
