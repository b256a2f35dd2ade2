#include "lib/process/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/testing/forked_check.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

const CapabilitySet kSome({CAP_KILL, CAP_SYS_PTRACE});

class CapabilitiesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CapabilitySet::Effective().Has(CAP_SETPCAP) ||
        !CapabilitySet::Effective().Has(CAP_SYS_PTRACE)) {
      GTEST_SKIP() << "there are no capabilities to give up";
    }
  }
};

TEST_F(CapabilitiesTest, OthersAreGone) {
  EXPECT_EQ(ForkedCheck([] {
              EXPECT_OK(KeepCapabilities(kSome));
              EXPECT_EQ(CapabilitySet::Effective().bits(), kSome.bits());
              EXPECT_EQ(prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0), 1);
              EXPECT_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
            }),
            0);
}

TEST_F(CapabilitiesTest, WhatWasGivenUpIsNotHadAgain) {
  EXPECT_EQ(ForkedCheck([] {
              EXPECT_OK(KeepCapabilities({}));
              EXPECT_OK(KeepCapabilities(kSome));
              EXPECT_EQ(CapabilitySet::Effective().bits(), 0u);
            }),
            0);
}

TEST_F(CapabilitiesTest, AThreadThatHasMoreIsTold) {
  EXPECT_EQ(
      ForkedCheck([] {
        std::promise<void> checked;
        std::thread has_more([done = checked.get_future()] { done.wait(); });
        EXPECT_THAT(KeepCapabilities(kSome),
                    StatusIs(absl::StatusCode::kFailedPrecondition,
                             HasSubstr("has other capabilities")));
        checked.set_value();
        has_more.join();
      }),
      0);
}

TEST_F(CapabilitiesTest, ThreadsThatAreStartedLaterHaveNoMore) {
  EXPECT_EQ(ForkedCheck([] {
              EXPECT_OK(KeepCapabilities(kSome));
              uint64_t of_the_thread = 0;
              std::thread([&] {
                of_the_thread = CapabilitySet::Effective().bits();
              }).join();
              EXPECT_EQ(of_the_thread, kSome.bits());
            }),
            0);
}

}  // namespace
}  // namespace pagelift
