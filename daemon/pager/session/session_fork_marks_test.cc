// Memory that a fork leaves out (MADV_DONTFORK) or makes zero
// (MADV_WIPEONFORK), side by side with memory that is inherited.

#include <sys/mman.h>

#include <csignal>
#include <vector>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

// Four pages of each kind in turn.
enum class Kind { kInherited, kWiped, kLeftOut, kWipedNoMore };

class ForkMarksSessionTest : public HeldSessionTestBase {
 protected:
  static Kind KindOf(uint64_t page) { return static_cast<Kind>(page / 4 % 4); }

  void SetUp() override {
    HeldSessionTestBase::SetUp();
    if (HasFatalFailure()) return;
    for (uint64_t page = 0; page < kPages.raw(); page += 4) {
      const Kind kind = KindOf(page);
      if (kind == Kind::kWiped || kind == Kind::kWipedNoMore) {
        Advise(page, MADV_WIPEONFORK);
      }
      if (kind == Kind::kWipedNoMore) Advise(page, MADV_KEEPONFORK);
      if (kind == Kind::kLeftOut) Advise(page, MADV_DONTFORK);
    }
    // Some have come when it forks.
    for (uint64_t page = 17; page < 33; page += 4) Bring(page);
  }
  void Advise(uint64_t page, int advice) {
    ASSERT_EQ(thread().On(Op::kAdvise, target_.pages(page, 4), advice), 0);
  }
  void ExpectInherited(TargetThread& child) {
    for (uint64_t page = 0; page < kPages.raw(); ++page) {
      switch (KindOf(page)) {
        case Kind::kInherited:
        case Kind::kWipedNoMore:
          ExpectImagePage(page, page, child);
          break;
        case Kind::kWiped:
          ExpectZero(page, child);
          break;
        case Kind::kLeftOut:
          ExpectNothing(page, child);
          break;
      }
    }
  }
  void ExpectNothing(uint64_t page, TargetThread& child) {
    const TargetReply reply = child.Read(target_.page(page));
    if (kInstrumented && reply.signal == 0) {
      EXPECT_FALSE(HoldsPattern(reply.page.data(), ImagePage(page))) << page;
    } else {
      EXPECT_EQ(reply.signal, SIGSEGV) << page;
    }
  }
  void ExpectAllInParent() {
    for (uint64_t page = 0; page < kPages.raw(); ++page) {
      ExpectImagePage(page, page);
    }
  }
};

TEST_F(ForkMarksSessionTest, ChildrenAndGrandchildrenFindWhatForkLeavesThem) {
  TargetThread& child = target_.Fork(thread());
  TargetThread& grandchild = target_.Fork(child);
  TargetThread& second = target_.Fork(thread());
  Release();
  for (TargetThread* each : {&child, &grandchild, &second}) {
    ExpectInherited(*each);
  }
  ExpectAllInParent();
}

TEST_F(ForkMarksSessionTest, SoDoChildrenOfSeveralThreadsAtOnce) {
  std::vector<TargetThread*> children;
  for (int i = 0; i < RestoredTarget::kThreads; ++i) {
    children.push_back(&target_.StartFork(thread(i)));
  }
  for (int i = 0; i < RestoredTarget::kThreads; ++i) {
    target_.FinishFork(thread(i), *children[i]);
  }
  Release();
  for (TargetThread* child : children) ExpectInherited(*child);
  ExpectAllInParent();
}

TEST_F(ForkMarksSessionTest, SoDoesAChildThatReadsBeforeAnythingHasCome) {
  TargetThread& child = target_.Fork(thread());
  // Zeros need nothing from the source.
  ExpectZero(5, child);
  child.StartRead(target_.page(1));
  ASSERT_TRUE(child.WaitUntilBlocked());
  Release();
  child.Finish();
  ExpectInherited(child);
}

}  // namespace
}  // namespace pagelift
