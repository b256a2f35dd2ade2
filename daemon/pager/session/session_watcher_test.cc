// What is demanded and delivered on the event thread, which has events to read.

#include <sys/mman.h>

#include <functional>

#include "absl/synchronization/notification.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/base/testing/soon.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

constexpr uint64_t kPage = 5;

class WatcherTest : public HeldSessionTestBase {
 protected:
  void Configure(Session::Options& options, FakePageSource& source) override {
    HeldSessionTestBase::Configure(options, source);
    // On a busy machine the thread whose event was read runs late. Nobody else
    // waits here.
    options.event_patience = kSoon;
  }

  // A thread waits for kPage, of which the answer comes while nobody reads
  // events: after `before`, on the event thread.
  void AnswerAfter(const std::function<void()>& before) {
    const size_t asked = source_->requests().size();
    thread(1).StartRead(target_.page(kPage));
    ASSERT_TRUE(source_->WaitForRequests(asked + 1, kSoon));
    absl::Notification answered;
    source_->watcher()->Post([&] {
      before();
      EXPECT_TRUE(source_->ReleaseNewest());
      answered.Notify();
    });
    ASSERT_TRUE(answered.WaitForNotificationWithTimeout(kSoon));
    EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(kPage)));
  }
};

TEST_F(WatcherTest, AnswersAreInstalledThere) {
  AnswerAfter([] {});
  EXPECT_EQ(PagesAskedFor(), kPages + PageCount(1));
  Release();
}

TEST_F(WatcherTest, AnEventThatIsInTheWayIsReadInsteadOfAskingAgain) {
  AnswerAfter([this] {
    thread(2).StartOn(Op::kAdvise, target_.pages(8, 2), MADV_DONTNEED);
    EXPECT_TRUE(thread(2).WaitUntilBlocked());
  });
  EXPECT_EQ(thread(2).Finish().result, 0);
  EXPECT_EQ(PagesAskedFor(), kPages + PageCount(1));
  Release();
  for (uint64_t i : {8, 9}) ExpectZero(i);
  ExpectImagePage(10, 10);
}

TEST_F(WatcherTest, WhatWasDemandedMayBeDiscardedMeanwhile) {
  const size_t asked = source_->requests().size();
  thread(1).StartRead(target_.page(kPage));
  ASSERT_TRUE(source_->WaitForRequests(asked + 1, kSoon));
  absl::Notification answered;
  source_->watcher()->Post([&] {
    thread(2).StartOn(Op::kAdvise, target_.pages(kPage, 1), MADV_DONTNEED);
    EXPECT_TRUE(thread(2).WaitUntilBlocked());
    EXPECT_TRUE(source_->ReleaseNewest());
    answered.Notify();
  });
  ASSERT_TRUE(answered.WaitForNotificationWithTimeout(kSoon));
  EXPECT_EQ(thread(2).Finish().result, 0);
  thread(1).Finish();  // What it reads is a race; that it goes on is not.
  Release();
}

TEST_F(WatcherTest, AChildThatIsForkedMeanwhileHasThePageToo) {
  TargetThread* child = nullptr;
  AnswerAfter([&] {
    child = &target_.StartFork(thread(2));
    EXPECT_TRUE(thread(2).WaitUntilBlocked());
  });
  target_.FinishFork(thread(2), *child);
  Release();
  ExpectImagePage(kPage, kPage, *child);
  ExpectImagePage(kPage + 1, kPage + 1, *child);
}

}  // namespace
}  // namespace pagelift
