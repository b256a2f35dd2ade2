#include "tests/links/bottleneck.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace pagelift::links {
namespace {

constexpr absl::Duration kNow = absl::Seconds(1000);

absl::Duration Ms(double ms) { return absl::Milliseconds(1) * ms; }

TEST(BottleneckTest, WithoutLimitsEverythingArrivesAtOnce) {
  Bottleneck link({}, kNow);
  EXPECT_EQ(link.Enter(1 << 30, kNow), kNow);
  EXPECT_EQ(link.RoomAt(kNow), kNow);
}

TEST(BottleneckTest, WhatEntersStandsInOneLine) {
  Bottleneck::Options options;
  options.bytes_per_second = 1e6;
  options.delay = Ms(10);
  Bottleneck link(options, kNow);
  EXPECT_EQ(link.Enter(1000, kNow), kNow + Ms(11));
  EXPECT_EQ(link.Enter(2000, kNow), kNow + Ms(13));
  // Once the line is empty there is none to stand in.
  EXPECT_EQ(link.Enter(1000, kNow + Ms(50)), kNow + Ms(61));
}

TEST(BottleneckTest, TheLineIsBounded) {
  Bottleneck::Options options;
  options.bytes_per_second = 1e6;
  options.line_bytes = 5000;
  Bottleneck link(options, kNow);
  link.Enter(5000, kNow);
  EXPECT_EQ(link.RoomAt(kNow), kNow);
  link.Enter(3000, kNow);
  EXPECT_EQ(link.RoomAt(kNow), kNow + Ms(3));
  EXPECT_EQ(link.RoomAt(kNow + Ms(4)), kNow + Ms(4));
}

TEST(BottleneckTest, NothingLeavesInAStall) {
  Bottleneck::Options options;
  options.stall_every = Ms(100);
  options.stall = Ms(30);
  Bottleneck link(options, kNow);
  EXPECT_EQ(link.Enter(1, kNow + Ms(10)), kNow + Ms(10));
  EXPECT_EQ(link.Enter(1, kNow + Ms(110)), kNow + Ms(130));
  EXPECT_EQ(link.Enter(1, kNow + Ms(140)), kNow + Ms(140));
  EXPECT_EQ(link.Enter(1, kNow + Ms(200)), kNow + Ms(230));
}

TEST(BottleneckTest, JitterIsBounded) {
  Bottleneck::Options options;
  options.delay = Ms(5);
  options.jitter = Ms(2);
  Bottleneck link(options, kNow);
  bool differ = false;
  for (int i = 0; i < 100; ++i) {
    const absl::Duration late = link.Enter(1, kNow) - kNow;
    EXPECT_GE(late, Ms(5));
    EXPECT_LE(late, Ms(7));
    if (late > Ms(6)) differ = true;
  }
  EXPECT_TRUE(differ);
}

}  // namespace
}  // namespace pagelift::links
