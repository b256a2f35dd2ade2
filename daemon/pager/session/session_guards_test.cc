// Guards (MADV_GUARD_INSTALL), of which no event tells: set where memory has
// arrived, they stay, whatever else arrives.

#include <sys/mman.h>

#include <csignal>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, since Linux 6.13
constexpr int kGuardRemove = 103;   // MADV_GUARD_REMOVE

class GuardsSessionTest : public HeldSessionTestBase {
 protected:
  // A guard on page 3, and a reply on its way that has that page.
  void SetUp() override {
    HeldSessionTestBase::SetUp();
    if (HasFatalFailure()) return;
    Bring(3);
    ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(3, 1), kGuardInstall), 0);
  }
  int SignalAt(PageId page, TargetThread& reader) {
    return reader.Read(page).signal;
  }
};

TEST_F(GuardsSessionTest, AGuardWhereMemoryHasArrivedIsKept) {
  EXPECT_EQ(SignalAt(target_.page(3), thread()), SIGSEGV);
  Release();
  EXPECT_EQ(SignalAt(target_.page(3), thread()), SIGSEGV);
  ExpectImagePage(2, 2);
  ExpectImagePage(4, 4);
}

TEST_F(GuardsSessionTest, WhereAGuardWasTakenAwayIsZero) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(3, 1), kGuardRemove), 0);
  ExpectZero(3);
  Release();
  ExpectZero(3);
  ExpectImagePage(4, 4);
}

TEST_F(GuardsSessionTest, AChildInheritsAGuard) {
  TargetThread& child = target_.Fork(thread());
  Release();
  EXPECT_EQ(SignalAt(target_.page(3), child), SIGSEGV);
  ExpectImagePage(2, 2, child);
}

TEST_F(GuardsSessionTest, AGuardMovesWithItsMemory) {
  ASSERT_EQ(thread().Move(target_.pages(2, 4), target_.spare(), PageCount(4)),
            0);
  Release();
  EXPECT_EQ(SignalAt(target_.spare(1), thread()), SIGSEGV);
  ExpectImagePageAt(target_.spare(2), 4);
}

TEST_F(GuardsSessionTest, ZerosAroundAGuardLeaveItAlone) {
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(8, 8), MADV_DONTNEED), 0);
  ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(11, 1), kGuardInstall), 0);
  ExpectZero(9);   // And what follows, up to the guard.
  ExpectZero(12);  // Behind it.
  EXPECT_EQ(SignalAt(target_.page(11), thread()), SIGSEGV);
  Release();
  EXPECT_EQ(SignalAt(target_.page(11), thread()), SIGSEGV);
}

}  // namespace
}  // namespace pagelift
