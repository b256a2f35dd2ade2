// Signals that interrupt threads while they wait for a page: each makes them
// ask anew.

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

class SignalsSessionTest : public HeldSessionTestBase {
 protected:
  static constexpr int kSignals = 20;

  // Interrupts `thread`, and waits until it has said again that it waits.
  void Interrupt(TargetThread& thread) {
    const uint64_t faults = session_->stats().faults;
    thread.Interrupt();
    ASSERT_TRUE(Eventually(
        [this, faults] { return session_->stats().faults > faults; }));
    ASSERT_TRUE(thread.WaitUntilBlocked());
  }
};

TEST_F(SignalsSessionTest,
       APageIsAskedForAndInstalledOnceHoweverOftenItsFaultComes) {
  const size_t asked = source_->requests().size();
  for (int i = 0; i < RestoredTarget::kThreads; ++i) {
    thread(i).StartRead(target_.page(9));
    ASSERT_TRUE(thread(i).WaitUntilBlocked());
  }
  for (int signal = 0; signal < kSignals; ++signal) {
    for (int i = 0; i < RestoredTarget::kThreads; ++i) {
      ASSERT_NO_FATAL_FAILURE(Interrupt(thread(i)));
    }
  }
  EXPECT_EQ(source_->requests().size(), asked + 1);
  ASSERT_TRUE(source_->ReleaseNewest());
  for (int i = 0; i < RestoredTarget::kThreads; ++i) {
    EXPECT_TRUE(HoldsPattern(thread(i).Finish().page.data(), ImagePage(9)));
  }
  EXPECT_EQ(session_->stats().pages_installed, 1u);
  Release();
  EXPECT_EQ(session_->stats().pages_installed, kPages.raw());
}

TEST_F(SignalsSessionTest, AThreadThatIsInterruptedWhileItsPageComesGetsIt) {
  for (uint64_t page = 0; page < 16; ++page) {
    const size_t asked = source_->requests().size();
    thread().StartRead(target_.page(page));
    ASSERT_TRUE(source_->WaitForRequests(asked + 1, kSoon));
    thread().Interrupt();
    ASSERT_TRUE(source_->ReleaseNewest());
    thread().Interrupt();
    EXPECT_TRUE(HoldsPattern(thread().Finish().page.data(), ImagePage(page)));
  }
  Release();
}

}  // namespace
}  // namespace pagelift
