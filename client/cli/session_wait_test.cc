#include "client/cli/session_wait.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

v1::SessionStatus Session(const std::string& state, uint64_t missing,
                          uint64_t lost) {
  v1::SessionStatus session;
  session.set_state(state);
  session.set_pages_missing(missing);
  session.set_pages_lost(lost);
  return session;
}

TEST(SessionWaitTest, OnlyACompleteSessionIsWhole) {
  EXPECT_TRUE(IsWhole(Session("complete", 0, 0)));
  EXPECT_FALSE(IsWhole(Session("complete", 0, 1)));
  EXPECT_FALSE(IsWhole(Session("draining", 0, 0)));
  EXPECT_FALSE(IsWhole(Session("failed", 0, 0)));
}

TEST(SessionWaitTest, ASessionWithOnlyLostPagesLeftHasEnded) {
  EXPECT_TRUE(HasEnded(Session("complete", 0, 0)));
  EXPECT_TRUE(HasEnded(Session("failed", 5, 0)));
  EXPECT_TRUE(HasEnded(Session("draining", 0, 3)));
  EXPECT_FALSE(HasEnded(Session("draining", 1, 3)));
  EXPECT_FALSE(HasEnded(Session("draining", 0, 0)));
  EXPECT_FALSE(HasEnded(Session("awaiting_handoff", 0, 0)));
}

}  // namespace
}  // namespace pagelift
