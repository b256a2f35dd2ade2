#include "lib/process/seccomp_rules.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/testing/forked_check.h"

namespace pagelift {
namespace {

// Rules that let everything else be.
class SeccompRulesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kInstrumented) GTEST_SKIP() << "the sanitizer has calls of its own";
  }

  static void Load(SeccompRules& rules) {
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_OK(rules.Load());
  }

  static int ErrorOfUmask(long mask) {
    return syscall(SYS_umask, mask) < 0 ? errno : 0;
  }
};

TEST_F(SeccompRulesTest, ARuleIsAboutItsArguments) {
  EXPECT_EQ(ForkedCheck([] {
              SeccompRules rules(SCMP_ACT_ALLOW);
              rules.Add(SCMP_ACT_ERRNO(EBUSY), SCMP_SYS(umask),
                        {ArgumentIs(0, 022)});
              rules.Add(SCMP_ACT_ERRNO(EFBIG), SCMP_SYS(umask),
                        {ArgumentHas(0, 0700, 0500)});
              Load(rules);
              EXPECT_EQ(ErrorOfUmask(022), EBUSY);
              EXPECT_EQ(ErrorOfUmask(0577), EFBIG);
              EXPECT_EQ(ErrorOfUmask(0777), 0);
            }),
            0);
}

TEST_F(SeccompRulesTest, AreKnownWhenTheyAreInForce) {
  EXPECT_EQ(ForkedCheck([] {
              SeccompRules rules(SCMP_ACT_ALLOW);
              rules.Add(SCMP_ACT_ERRNO(EBUSY), SCMP_SYS(umask));
              SeccompRules same(SCMP_ACT_ALLOW);
              same.Add(SCMP_ACT_ERRNO(EBUSY), SCMP_SYS(umask));
              SeccompRules other(SCMP_ACT_ALLOW);
              other.Add(SCMP_ACT_ERRNO(EFBIG), SCMP_SYS(umask));
              EXPECT_FALSE(same.InForce());
              Load(rules);
              EXPECT_TRUE(same.InForce());
              EXPECT_FALSE(other.InForce());
              Load(other);
              EXPECT_TRUE(other.InForce());
              EXPECT_TRUE(same.InForce());
            }),
            0);
}

TEST_F(SeccompRulesTest, WhatCannotBeARuleIsTold) {
  EXPECT_EQ(
      ForkedCheck([] {
        SeccompRules rules(SCMP_ACT_ALLOW);
        rules.Add(SCMP_ACT_ERRNO(EBUSY), SCMP_SYS(umask), {ArgumentIs(6, 0)});
        EXPECT_THAT(rules.Load(), StatusIs(absl::StatusCode::kInvalidArgument));
      }),
      0);
}

}  // namespace
}  // namespace pagelift
