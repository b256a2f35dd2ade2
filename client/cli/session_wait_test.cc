#include "client/cli/session_wait.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

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

// Says one after the other what it was given, and then nothing any more.
class Listing {
 public:
  using Look = std::vector<v1::SessionStatus>;

  explicit Listing(std::vector<Look> looks) : looks_(std::move(looks)) {}

  SessionLister lister() {
    return [this]() -> absl::StatusOr<Look> {
      return next_ < looks_.size() ? looks_[next_++] : Look();
    };
  }

 private:
  const std::vector<Look> looks_;
  size_t next_ = 0;
};

v1::SessionStatus Named(const std::string& name, const std::string& state) {
  v1::SessionStatus session = Session(state, 0, 0);
  session.set_session(name);
  return session;
}

absl::StatusOr<std::vector<v1::SessionStatus>> WaitForTwo(
    std::vector<Listing::Look> looks, absl::Time deadline) {
  Listing listing(std::move(looks));
  return WaitUntilAllEnded(listing.lister(), {"s1", "s2"}, deadline, false);
}

TEST(SessionWaitTest, ASessionThatEndsBeforeAnotherMayBeForgottenMeanwhile) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<v1::SessionStatus> ended,
      WaitForTwo({{Named("s1", "draining"), Named("s2", "draining")},
                  {Named("s1", "draining"), Named("s2", "complete")},
                  {Named("s1", "complete"), Named("s3", "draining")}},
                 absl::InfiniteFuture()));
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].session(), "s1");
  EXPECT_EQ(ended[1].session(), "s2");
  EXPECT_TRUE(IsWhole(ended[0]) && IsWhole(ended[1]));
}

TEST(SessionWaitTest, OneThatIsForgottenBeforeItsEndWasSeenIsAnError) {
  EXPECT_THAT(WaitForTwo({{Named("s1", "draining"), Named("s2", "draining")},
                          {Named("s1", "draining")}},
                         absl::InfiniteFuture()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("s2")));
}

TEST(SessionWaitTest, AtTheDeadlineSessionsAreToldAsTheyAre) {
  ASSERT_OK_AND_ASSIGN(
      std::vector<v1::SessionStatus> sessions,
      WaitForTwo({{Named("s1", "complete"), Named("s2", "draining")}},
                 absl::InfinitePast()));
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions[1].state(), "draining");
}

}  // namespace
}  // namespace pagelift
