// Pages that the image has lost: whoever touches them gets SIGBUS, wherever
// they are by then, and whatever arrives.

#include <sys/mman.h>

#include <csignal>

#include "absl/status/status.h"
#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

class PoisonSessionTest : public HeldSessionTestBase {
 protected:
  // All has come but pages 56 to 63, which are lost in `spaces` address spaces.
  void LoseTheLastEight(uint64_t spaces) {
    source_->FailFrom(ImagePage(56), absl::DataLossError("bad checksum"));
    source_->StopHolding();
    ASSERT_TRUE(Eventually([this, spaces] {
      return session_->stats().pages_lost == 8 * spaces &&
             session_->Snapshot().pages_missing == PageCount(0);
    }));
  }
  void ExpectLost(PageId page, TargetThread& reader) {
    EXPECT_EQ(reader.Read(page).signal, SIGBUS) << page;
  }
};

TEST_F(PoisonSessionTest, AChildInheritsWhatIsLost) {
  LoseTheLastEight(1);
  TargetThread& child = target_.Fork(thread());
  ExpectLost(target_.page(60), child);
  ExpectImagePage(55, 55, child);
  TargetThread& grandchild = target_.Fork(child);
  ExpectLost(target_.page(60), grandchild);
  ExpectLost(target_.page(60), thread());
}

TEST_F(PoisonSessionTest, WhatIsLostAfterAForkIsLostInTheChildToo) {
  TargetThread& child = target_.Fork(thread());
  thread(1).StartRead(target_.page(57));
  child.StartRead(target_.page(57));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  ASSERT_TRUE(child.WaitUntilBlocked());
  LoseTheLastEight(2);
  EXPECT_EQ(thread(1).Finish().signal, SIGBUS);
  EXPECT_EQ(child.Finish().signal, SIGBUS);
  ExpectLost(target_.page(63), child);
  ExpectImagePage(55, 55, child);
}

TEST_F(PoisonSessionTest, WhatIsLostStaysLostWhereItIsMoved) {
  LoseTheLastEight(1);
  ASSERT_EQ(thread().Move(target_.pages(52, 8), target_.spare(), PageCount(8)),
            0);
  ExpectImagePageAt(target_.spare(3), 55);
  ExpectLost(target_.spare(4), thread());
  ExpectLost(target_.page(60), thread());
  TargetThread& child = target_.Fork(thread());
  ExpectLost(target_.spare(7), child);
}

TEST_F(PoisonSessionTest, WhatIsLostOnItsWayIsLostWhereItWasMoved) {
  ASSERT_EQ(thread().Move(target_.pages(52, 8), target_.spare(), PageCount(8)),
            0);
  thread(1).StartRead(target_.spare(5));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  LoseTheLastEight(1);
  EXPECT_EQ(thread(1).Finish().signal, SIGBUS);
  ExpectImagePageAt(target_.spare(3), 55);
}

TEST_F(PoisonSessionTest, NothingThatArrivesLaterTakesThePlaceOfALostPage) {
  thread(1).StartRead(target_.page(60));
  ASSERT_TRUE(source_->WaitForRequests(2, kSoon));
  source_->FailFrom(ImagePage(56), absl::DataLossError("bad checksum"));
  ASSERT_TRUE(source_->ReleaseNewest());
  EXPECT_EQ(thread(1).Finish().signal, SIGBUS);
  // The sweep's request has that page, too, and is answered in full.
  source_->FailFrom(ImagePage(56), absl::OkStatus());
  source_->StopHolding();
  ASSERT_TRUE(Eventually(
      [this] { return session_->Snapshot().pages_missing == PageCount(0); }));
  ExpectImagePage(61, 61);
  ExpectLost(target_.page(60), thread());
  EXPECT_EQ(session_->stats().pages_lost, 1u);
}

TEST_F(PoisonSessionTest, ALostPageThatIsDiscardedIsZeroAndNotMissedAnyMore) {
  LoseTheLastEight(1);
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(56, 8), MADV_DONTNEED), 0);
  ExpectZero(60);
  EXPECT_TRUE(WaitUntilEnded());
  EXPECT_EQ(State(), SessionState::kComplete);
  ExpectZero(61);
}

}  // namespace
}  // namespace pagelift
