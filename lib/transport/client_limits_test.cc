#include "lib/transport/client_limits.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::Le;

ClientLimits Limits(double bytes, double requests) {
  ClientLimits limits;
  limits.bytes_per_second = bytes;
  limits.requests_per_second = requests;
  return limits;
}

TEST(ClientLimitsTest, WhatAClientSpendsCountsOnAllItsConnections) {
  ClientLedger ledger(Limits(1000, 0));
  const auto one = ledger.Of("a");
  const auto other = ledger.Of("a");
  EXPECT_TRUE(one->Take(v1::URGENCY_DEMAND, 5000));
  EXPECT_FALSE(other->Take(v1::URGENCY_DEMAND, 1));
  EXPECT_THAT(other->Pause(v1::URGENCY_DEMAND),
              AllOf(Gt(absl::Seconds(3)), Le(absl::Seconds(4))));
  EXPECT_EQ(ledger.Of("b")->Pause(v1::URGENCY_PREFETCH), absl::ZeroDuration());
}

TEST(ClientLimitsTest, ComingBackPaysNoDebts) {
  ClientLedger ledger(Limits(1000, 0));
  ledger.Of("a")->Take(v1::URGENCY_DEMAND, 100000);
  // Others come and go meanwhile.
  for (int i = 0; i < 1000; ++i) ledger.Of(std::to_string(i));
  EXPECT_GT(ledger.Of("a")->Pause(v1::URGENCY_DEMAND), absl::Seconds(50));
}

TEST(ClientLimitsTest, RequestsCountApart) {
  ClientSpending spending(Limits(0, 10));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(spending.Take(v1::URGENCY_DEMAND, 1 << 30));
  }
  while (spending.Take(v1::URGENCY_DEMAND, 1 << 30)) {
  }
  EXPECT_GT(spending.Pause(v1::URGENCY_DEMAND), absl::ZeroDuration());
  ClientSpending of_bytes(Limits(1e12, 0));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(of_bytes.Take(v1::URGENCY_PREFETCH, 1));
  }
}

TEST(ClientLimitsTest, PrefetchLeavesSomethingForDemand) {
  ClientSpending spending(Limits(1e6, 0));
  EXPECT_TRUE(spending.Take(v1::URGENCY_DEMAND, 2000000));
  spending.GiveBack(2000000 - 999000);
  EXPECT_EQ(spending.Pause(v1::URGENCY_DEMAND), absl::ZeroDuration());
  EXPECT_GT(spending.Pause(v1::URGENCY_PREFETCH), absl::ZeroDuration());
}

TEST(ClientLimitsTest, WithoutALimitNothingIsKept) {
  ClientLedger ledger{ClientLimits()};
  EXPECT_EQ(ledger.Of("a"), nullptr);
}

}  // namespace
}  // namespace pagelift
