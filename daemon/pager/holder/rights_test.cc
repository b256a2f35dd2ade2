#include "daemon/pager/holder/rights.h"

#include <sys/prctl.h>

#include <vector>

#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/process/capabilities.h"
#include "lib/process/testing/forked_check.h"

namespace pagelift {
namespace {

// What a process with this command line keeps.
void GiveUp(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "pageliftd");
  GiveUpRights(static_cast<int>(arguments.size()),
               const_cast<char* const*>(arguments.data()));
}

TEST(RightsTest, WhatWorkersUseIsKept) {
  if (kInstrumented) GTEST_SKIP() << "a sanitizer needs more";
  const uint64_t wanted = CapabilitySet(kWorkerCapabilities).bits() &
                          CapabilitySet::Effective().bits();
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{},
        {"--control", "off"},
        {"--sandbox=on"},
        {"lazy-pages", "--sandbox", "strict"},
        {"--sandbox=off", "--sandbox=on"}}) {
    EXPECT_EQ(ForkedCheck([&] {
                GiveUp(arguments);
                EXPECT_EQ(CapabilitySet::Effective().bits(), wanted);
                EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
                GiveUp(arguments);
                EXPECT_EQ(CapabilitySet::Effective().bits(), wanted);
              }),
              0);
  }
}

TEST(RightsTest, WhoWantsNoSandboxKeepsAll) {
  const uint64_t all = CapabilitySet::Effective().bits();
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--sandbox=off"},
        {"lazy-pages", "--sandbox", "off"}}) {
    EXPECT_EQ(ForkedCheck([&] {
                GiveUp(arguments);
                EXPECT_EQ(CapabilitySet::Effective().bits(), all);
                EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
              }),
              0);
  }
}

}  // namespace
}  // namespace pagelift
