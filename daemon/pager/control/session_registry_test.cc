#include "daemon/pager/control/session_registry.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "daemon/pager/journal/session_journal.h"
#include "daemon/pager/session/session.h"
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

// What a worker leaves that dies while restore hands its tasks over.
std::unique_ptr<SessionJournal> JournalOf(const std::string& name,
                                          const std::string& content_id) {
  absl::StatusOr<std::unique_ptr<SessionJournal>> journal =
      SessionJournal::Create(PageCount(8));
  EXPECT_OK(journal.status());
  SessionRecord& record = (*journal)->record();
  record.name.Set(name);
  record.request_id.Set("request of " + name);
  record.source.Set("fake:image");
  record.work_dir.Set("/work");
  record.content_id.Set(content_id);
  record.opened_ns = 1;
  return *std::move(journal);
}

class GoneOnWithTest : public SessionRegistryTest {
 protected:
  v1::SessionStatus Only() {
    auto sessions = registry_.List("");
    EXPECT_OK(sessions.status());
    EXPECT_THAT(*sessions, SizeIs(1));
    return sessions->front();
  }
  void GoOn(std::unique_ptr<SessionJournal> journal) {
    std::vector<std::unique_ptr<SessionJournal>> journals;
    journals.push_back(std::move(journal));
    registry_.GoOn(std::move(journals));
  }
};

TEST_F(GoneOnWithTest, ItIsThereUntilItsSourceCanBeOpened) {
  absl::Notification may_open;
  on_open_ = [&] { may_open.WaitForNotification(); };
  GoOn(JournalOf("s7", "0123456789abcdef0123456789abcdef"));
  EXPECT_EQ(Only().session(), "s7");
  EXPECT_EQ(Only().state(), "serving");
  EXPECT_FALSE(registry_.idle());
  EXPECT_EQ(registry_.Cancel("s7").code(), absl::StatusCode::kUnavailable);
  // Whoever lost the answer is told of the same.
  v1::OpenSessionRequest again = Request();
  again.set_request_id("request of s7");
  ASSERT_OK_AND_ASSIGN(v1::OpenSessionResponse opened, registry_.Open(again));
  EXPECT_EQ(opened.session(), "s7");
  may_open.Notify();
  // It has no task, no socket, and restore has not said that it is finished.
  EXPECT_TRUE(Eventually([this] { return State() == "failed"; }));
  EXPECT_THAT(Only().trouble(), HasSubstr("restore again"));
  registry_.WaitUntilIdle();
}

TEST_F(GoneOnWithTest, AnotherCheckpointAtItsSourceIsRefusedAndAskedForAgain) {
  std::atomic<int> opened = 0;
  on_open_ = [&] { ++opened; };
  auto journal = JournalOf("s7", "another");
  SessionRecord& record = journal->record();
  GoOn(std::move(journal));
  EXPECT_TRUE(Eventually([this] { return !Only().trouble().empty(); }));
  EXPECT_THAT(Only().trouble(), HasSubstr("cannot be gone on with"));
  EXPECT_TRUE(Eventually([&] { return opened >= 2; }));
  record.content_id.Set("0123456789abcdef0123456789abcdef");
  EXPECT_TRUE(Eventually([this] { return State() == "failed"; }));
  registry_.WaitUntilIdle();
}

TEST_F(GoneOnWithTest, WhatHadEndedIsStillTold) {
  auto journal = JournalOf("s7", "any");
  journal->record().ended_ns = 2'000'000'000;
  journal->record().finished_ns = 1'000'000'000;
  StatsOf(*journal).pages_installed = 4711;
  GoOn(std::move(journal));
  const v1::SessionStatus status = Only();
  EXPECT_EQ(status.state(), "complete");
  EXPECT_EQ(status.pages_installed(), 4711u);
  EXPECT_EQ(status.time_to_complete_ms(), 1000u);
  EXPECT_TRUE(registry_.idle());
}

}  // namespace
}  // namespace pagelift
