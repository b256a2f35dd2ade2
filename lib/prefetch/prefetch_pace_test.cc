#include "lib/prefetch/prefetch_pace.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {
namespace {

using Kind = PrefetchMode::Kind;

constexpr absl::Duration kStart = absl::Seconds(1000);

PrefetchPace PaceOf(PrefetchMode mode) {
  PrefetchPace pace;
  pace.SetMode(mode, kStart);
  return pace;
}

TEST(PrefetchPaceTest, FullNeverPauses) {
  PrefetchPace pace = PaceOf({Kind::kFull, 0});
  pace.OnDemand(kStart);
  pace.OnAsked(PageCount(100000), kStart);
  EXPECT_EQ(pace.Pause(kStart), absl::ZeroDuration());
}

TEST(PrefetchPaceTest, OffPausesForEver) {
  EXPECT_EQ(PaceOf({Kind::kOff, 0}).Pause(kStart), absl::InfiniteDuration());
}

TEST(PrefetchPaceTest, IdlePausesAfterEachDemand) {
  PrefetchPace pace = PaceOf({Kind::kIdle, 0});
  EXPECT_EQ(pace.Pause(kStart), absl::ZeroDuration());
  pace.OnDemand(kStart);
  EXPECT_EQ(pace.Pause(kStart), absl::Milliseconds(5));
  pace.OnDemand(kStart + absl::Milliseconds(3));
  EXPECT_EQ(pace.Pause(kStart + absl::Milliseconds(5)), absl::Milliseconds(3));
  EXPECT_EQ(pace.Pause(kStart + absl::Milliseconds(9)), absl::ZeroDuration());
}

// What a second's worth of asking whenever there is no pause comes to.
PageCount AskedInASecond(PrefetchPace& pace, absl::Duration from,
                         PageCount request) {
  PageCount asked;
  absl::Duration now = from;
  while (now < from + absl::Seconds(1)) {
    const absl::Duration pause = pace.Pause(now);
    if (pause > absl::ZeroDuration()) {
      now += pause;
      continue;
    }
    pace.OnAsked(request, now);
    asked = asked + request;
  }
  return asked;
}

TEST(PrefetchPaceTest, RateIsKept) {
  PrefetchPace pace = PaceOf({Kind::kRate, 10});
  for (uint64_t request : {1, 16, 64}) {
    const absl::Duration from = kStart + absl::Seconds(request);
    const uint64_t asked = AskedInASecond(pace, from, PageCount(request)).raw();
    EXPECT_GE(asked, 2560u) << request;
    EXPECT_LE(asked, 2560u + 2560 / 50 + 64) << request;
  }
}

TEST(PrefetchPaceTest, ALongPauseIsNotCaughtUp) {
  PrefetchPace pace = PaceOf({Kind::kRate, 10});
  const uint64_t asked =
      AskedInASecond(pace, kStart + absl::Hours(1), PageCount(16)).raw();
  EXPECT_LE(asked, 2560u + 2560 / 50 + 16);
}

TEST(PrefetchPaceTest, AChangeTakesEffectAtOnce) {
  PrefetchPace pace = PaceOf({Kind::kRate, 1});
  pace.OnAsked(PageCount(25600), kStart);
  EXPECT_GT(pace.Pause(kStart), absl::Seconds(90));
  pace.SetMode({Kind::kRate, 100}, kStart);
  EXPECT_EQ(pace.Pause(kStart), absl::ZeroDuration());
  pace.SetMode({Kind::kOff, 0}, kStart);
  EXPECT_EQ(pace.Pause(kStart), absl::InfiniteDuration());
  pace.SetMode({Kind::kFull, 0}, kStart);
  EXPECT_EQ(pace.Pause(kStart), absl::ZeroDuration());
}

}  // namespace
}  // namespace pagelift
