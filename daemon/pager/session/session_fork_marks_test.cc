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
  // Over pages from 8 on, which the child does not have; those before them are
  // wiped.
  void GrowOverWhatWasLeftOut(TargetThread& child, PageCount by) {
    TargetCommand grow;
    grow.op = Op::kMove;
    grow.range = target_.pages(4, 4);
    grow.to_count = PageCount(4) + by;
    EXPECT_EQ(child.Do(grow).result,
              static_cast<int64_t>(grow.range.first.raw() * kPageSize));
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

// Growth in place has no event.
TEST_F(ForkMarksSessionTest, WhatGrowsOverWhatWasLeftOutIsZero) {
  // Over a part of it, before anybody can look, and later; and over all.
  TargetThread& at_once = target_.Fork(thread());
  GrowOverWhatWasLeftOut(at_once, PageCount(2));
  TargetThread& later = target_.Fork(thread());
  ExpectZero(5, later);  // It has been found: its zeros are there.
  GrowOverWhatWasLeftOut(later, PageCount(4));
  TargetThread& grandchild = target_.Fork(later);
  Release();
  for (TargetThread* each : {&at_once, &later, &grandchild}) {
    for (uint64_t page = 7; page < 10; ++page) ExpectZero(page, *each);
    ExpectImagePage(12, 12, *each);
  }
  for (uint64_t page = 10; page < 12; ++page) {
    ExpectNothing(page, at_once);
    ExpectZero(page, later);
    ExpectZero(page, grandchild);
  }
  ExpectAllInParent();
}

TEST_F(ForkMarksSessionTest, PagesThatHadComeTellWhoHasGrownOverAllAtOnce) {
  Bring(9);
  TargetThread& child = target_.Fork(thread());
  GrowOverWhatWasLeftOut(child, PageCount(4));
  Release();
  for (uint64_t page = 8; page < 12; ++page) ExpectZero(page, child);
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
