#include "daemon/pager/control/session_registry.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/process/fd_channel.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class SessionRegistryTest : public ::testing::Test {
 protected:
  static absl::StatusOr<std::unique_ptr<PageSource>> OpenSource(
      const std::string& url) {
    if (absl::StrContains(url, "nowhere")) {
      return absl::UnavailableError("there is no such place");
    }
    return std::make_unique<FakePageSource>(
        OneTaskImage(23, {PageId(1 << 20), PageCount(8)}));
  }

  v1::OpenSessionRequest Request() const {
    v1::OpenSessionRequest request;
    request.set_source("fake:image");
    request.set_work_dir(dir_.path());
    return request;
  }

  // The only session's; empty if there is none.
  std::string State() {
    auto sessions = registry_.List("");
    return sessions.ok() && sessions->size() == 1 ? sessions->front().state()
                                                  : "";
  }

  TempDir dir_;
  // Called whenever a source is opened.
  std::function<void()> on_open_ = [] {};
  SessionRegistry registry_{[this](const std::string& url) {
    on_open_();
    return OpenSource(url);
  }};
};

TEST_F(SessionRegistryTest, ASessionListensWhenOpenReturns) {
  ASSERT_OK_AND_ASSIGN(v1::OpenSessionResponse opened,
                       registry_.Open(Request()));
  EXPECT_EQ(opened.content_id(), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(State(), "awaiting_handoff");
  EXPECT_OK(FdChannel::Connect(dir_.Join("lazy-pages.socket")));
  // A restore that hangs up before it has handed over a task.
  EXPECT_TRUE(Eventually([this] { return State() == "failed"; }));
  registry_.WaitUntilIdle();
  EXPECT_TRUE(registry_.idle());
}

TEST_F(SessionRegistryTest, RefusesWorkDirectoriesThatDependOnWhereItRuns) {
  v1::OpenSessionRequest request = Request();
  request.set_work_dir("work");
  EXPECT_THAT(registry_.Open(request),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(SessionRegistryTest, RefusesAnotherCheckpointThanWasExpected) {
  v1::OpenSessionRequest request = Request();
  request.set_expected_content_id("ffff");
  EXPECT_THAT(registry_.Open(request),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("would mix the two")));
  EXPECT_TRUE(registry_.idle());
}

TEST_F(SessionRegistryTest, TellsWhyASourceCannotBeOpened) {
  v1::OpenSessionRequest request = Request();
  request.set_source("nowhere:image");
  EXPECT_THAT(registry_.Open(request), StatusIs(absl::StatusCode::kUnavailable,
                                                HasSubstr("no such place")));
}

TEST_F(SessionRegistryTest, OneWorkDirectoryHasOneSession) {
  ASSERT_OK(registry_.Open(Request()));
  EXPECT_THAT(registry_.Open(Request()),
              StatusIs(absl::StatusCode::kAlreadyExists));
  registry_.RefuseNew();
  registry_.WaitUntilIdle();
}

TEST_F(SessionRegistryTest, HowASessionEndedIsKept) {
  ASSERT_OK_AND_ASSIGN(v1::OpenSessionResponse opened,
                       registry_.Open(Request()));
  ASSERT_OK(registry_.Cancel(opened.session()));
  registry_.WaitUntilIdle();
  ASSERT_OK_AND_ASSIGN(std::vector<v1::SessionStatus> sessions,
                       registry_.List(opened.session()));
  ASSERT_THAT(sessions, SizeIs(1));
  EXPECT_EQ(sessions[0].state(), "failed");
  EXPECT_EQ(sessions[0].trouble(), "cancelled");
  EXPECT_THAT(registry_.Cancel(opened.session()),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(registry_.List("s99"), StatusIs(absl::StatusCode::kNotFound));
}

// One that is opened in `registry` and has failed.
void OpenAndCancel(SessionRegistry& registry,
                   const v1::OpenSessionRequest& request) {
  ASSERT_OK_AND_ASSIGN(v1::OpenSessionResponse opened, registry.Open(request));
  ASSERT_OK(registry.Cancel(opened.session()));
  registry.WaitUntilIdle();
}

TEST_F(SessionRegistryTest, HowSessionsEndedIsKeptHoweverManyTheyAre) {
  for (int i = 0; i < 120; ++i) OpenAndCancel(registry_, Request());
  ASSERT_OK_AND_ASSIGN(std::vector<v1::SessionStatus> sessions,
                       registry_.List(""));
  EXPECT_THAT(sessions, SizeIs(120));
  EXPECT_OK(registry_.List("s1"));
}

TEST_F(SessionRegistryTest, OfOldSessionsOnlyTheLatestHundredAreKept) {
  SessionRegistry::Options options;
  options.ended_kept = absl::ZeroDuration();
  SessionRegistry forgetful(OpenSource, options);
  for (int i = 0; i < 120; ++i) OpenAndCancel(forgetful, Request());
  ASSERT_OK_AND_ASSIGN(std::vector<v1::SessionStatus> sessions,
                       forgetful.List(""));
  EXPECT_THAT(sessions, SizeIs(100));
  EXPECT_EQ(sessions.front().session(), "s120");
  EXPECT_THAT(forgetful.List("s1"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SessionRegistryTest, RefusesNewOnesAndCancelsTheIdleWhenItStops) {
  ASSERT_OK(registry_.Open(Request()));
  registry_.RefuseNew();
  registry_.WaitUntilIdle();
  EXPECT_TRUE(registry_.idle());
  EXPECT_THAT(registry_.Open(Request()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(SessionRegistryTest, ASessionThatIsBeingOpenedDoesNotOutliveTheStop) {
  absl::Notification opening;
  absl::Notification refused;
  on_open_ = [&] {
    opening.Notify();
    refused.WaitForNotification();
  };
  absl::Status status;
  std::thread opener([&] { status = registry_.Open(Request()).status(); });
  opening.WaitForNotification();
  registry_.RefuseNew();
  EXPECT_FALSE(registry_.idle());
  refused.Notify();
  registry_.WaitUntilIdle();
  opener.join();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(registry_.idle());
}

}  // namespace
}  // namespace pagelift
