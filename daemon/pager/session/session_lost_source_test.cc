// A source from which nothing comes any more.

#include <csignal>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

class LostSourceSessionTest : public HeldSessionTestBase {
 protected:
  virtual WhenUnavailable Action() const = 0;
  void Configure(Session::Options& options, FakePageSource& source) override {
    HeldSessionTestBase::Configure(options, source);
    options.lost_source = {Action(), absl::Milliseconds(50)};
  }
};

class PoisonTest : public LostSourceSessionTest {
  WhenUnavailable Action() const override { return WhenUnavailable::kPoison; }
};
class KillTest : public LostSourceSessionTest {
  WhenUnavailable Action() const override { return WhenUnavailable::kKill; }
};
class FreezeTest : public LostSourceSessionTest {
  WhenUnavailable Action() const override { return WhenUnavailable::kFreeze; }
};

TEST_F(PoisonTest, WhoTouchesWhatIsMissingGetsSigbus) {
  TargetThread& child = target_.Fork(thread(2));
  thread(1).StartRead(target_.page(5));
  EXPECT_EQ(thread(1).Finish().signal, SIGBUS);
  // For good, and in whoever inherits it.
  EXPECT_EQ(thread().Read(target_.page(6)).signal, SIGBUS);
  EXPECT_EQ(child.Read(target_.page(7)).signal, SIGBUS);
  TargetThread& later = target_.Fork(thread());
  EXPECT_EQ(later.Read(target_.page(8)).signal, SIGBUS);
  source_->StopHolding();
  EXPECT_EQ(thread().Read(target_.page(6)).signal, SIGBUS);
  EXPECT_NE(session_->Snapshot().trouble, "");
}

TEST_F(PoisonTest, NobodyIsHurtAsLongAsNobodyWaits) {
  // Something is missing, and does not come. Housekeeping looks meanwhile.
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(session_->stats().pages_lost, 0u);
  source_->StopHolding();
  ExpectImagePage(5, 5);
}

TEST_F(KillTest, TheTargetsAreKilled) {
  TargetThread& child = target_.Fork(thread(2));
  child.StartRead(target_.page(5));
  EXPECT_TRUE(Eventually(
      [&] { return target_.HasExited(thread()) && target_.HasExited(child); }));
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kFailed);
  EXPECT_NE(session_->Snapshot().trouble, "");
}

TEST_F(FreezeTest, TheyWaitForAsLongAsItTakes) {
  thread(1).StartRead(target_.page(5));
  absl::SleepFor(absl::Seconds(2));
  EXPECT_TRUE(thread(1).is_blocked());
  source_->StopHolding();
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(5)));
}

}  // namespace
}  // namespace pagelift
