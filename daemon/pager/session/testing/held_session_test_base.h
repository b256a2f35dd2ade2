#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_HELD_SESSION_TEST_BASE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_HELD_SESSION_TEST_BASE_H_

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/memory/page.h"
#include "lib/source/testing/fake_page_source.h"

namespace pagelift {

// A target that runs while all its memory is on its way: all pages are
// requested and none has come.
class HeldSessionTestBase : public SessionTestBase {
 protected:
  using SessionTestBase::SessionTestBase;

  void SetUp() override {
    SessionTestBase::SetUp();
    if (HasFatalFailure()) return;
    source_->HoldReplies();
    target_.Restore(dir_.path());
    ASSERT_TRUE(Eventually(
        [this] { return PagesAskedFor() == target_.region().count; }));
  }

  // In all; a page counts as often as it was asked for.
  PageCount PagesAskedFor() const {
    PageCount pages;
    for (const FakePageSource::Request& request : source_->requests()) {
      pages = pages + request.range.count;
    }
    return pages;
  }

  // Only this page of it.
  void Bring(uint64_t page) {
    const size_t asked = source_->requests().size();
    thread(1).StartRead(target_.page(page));
    ASSERT_TRUE(source_->WaitForRequests(asked + 1, kSoon));
    ASSERT_TRUE(source_->ReleaseNewest());
    thread(1).Finish();
  }

  // And everything.
  void Release() {
    source_->StopHolding();
    ASSERT_TRUE(WaitUntilEnded());
    EXPECT_EQ(State(), SessionState::kComplete);
  }
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_HELD_SESSION_TEST_BASE_H_
