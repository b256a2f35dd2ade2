// Trees of processes that grow while all their memory is on its way.

#include <sys/mman.h>

#include <atomic>
#include <thread>
#include <vector>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "daemon/pager/session/testing/userfaultfds_here.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::IsEmpty;

constexpr int kThreads = RestoredTarget::kThreads;

class ForksSessionTest : public HeldSessionTestBase {
 protected:
  explicit ForksSessionTest(PageCount pages = kPages)
      : HeldSessionTestBase(pages) {}

  // Every thread of the target forks one, all at once.
  void StartFamilies(Family family) {
    for (int i = 0; i < kThreads; ++i) {
      thread(i).StartFamily(target_.region(), 0, family);
    }
  }
  void WaitForForks(uint64_t count) {
    ASSERT_TRUE(Eventually([&] { return session_->stats().forks == count; }));
  }
  void ExpectFamiliesRight(int members) {
    for (int i = 0; i < kThreads; ++i) {
      EXPECT_EQ(thread(i).Finish().result, members) << "of thread " << i;
    }
  }
};

TEST_F(ForksSessionTest, TwoHundredChildrenForkedAtOnceInheritEveryPage) {
  constexpr int kEach = kInstrumented ? 10 : 50;
  Bring(7);
  StartFamilies({kEach, 1, false});
  ASSERT_NO_FATAL_FAILURE(WaitForForks(kThreads * kEach));
  EXPECT_EQ(session_->Snapshot().address_spaces, 1u + kThreads * kEach);
  Release();
  ExpectFamiliesRight(kEach);
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

TEST_F(ForksSessionTest,
       ChildrenOfChildrenInheritFromParentsThatWaitThemselves) {
  StartFamilies({3, 4, false});
  ASSERT_NO_FATAL_FAILURE(WaitForForks(kThreads * 3 * 4));
  Release();
  ExpectFamiliesRight(3 * 4);
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

TEST_F(ForksSessionTest, ChildrenWhoseParentsHaveLeftInheritEveryPage) {
  StartFamilies({3, 4, true});
  ASSERT_NO_FATAL_FAILURE(WaitForForks(kThreads * 3 * 4));
  // Of each line the last is there.
  ASSERT_TRUE(Eventually([this] {
    return session_->Snapshot().address_spaces == 1 + kThreads * 3;
  }));
  Release();
  ExpectFamiliesRight(3 * 4);
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

TEST_F(ForksSessionTest, AChildOutlivesItsParentAndTheRestoredTask) {
  TargetThread& child = target_.Fork(thread());
  ASSERT_EQ(child.On(Op::kOutlive, {}), 0);
  TargetThread& grandchild = target_.Fork(child);
  ASSERT_EQ(grandchild.On(Op::kOutlive, {}), 0);
  child.StartOn(Op::kExit, {});
  ASSERT_TRUE(
      Eventually([this] { return session_->Snapshot().address_spaces == 2; }));
  thread().StartOn(Op::kExit, {});
  ASSERT_TRUE(
      Eventually([this] { return session_->Snapshot().address_spaces == 1; }));
  TargetThread& last = target_.Fork(grandchild);
  Release();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, i, grandchild);
    ExpectImagePage(i, i, last);
  }
}

TEST_F(ForksSessionTest, EveryGenerationKeepsToItselfWhatItDoes) {
  std::vector<TargetThread*> line = {&thread()};
  for (uint64_t depth = 1; depth <= 4; ++depth) {
    line.push_back(&target_.Fork(*line.back()));
    TargetThread& child = *line.back();
    ASSERT_EQ(child.On(Op::kAdvise, target_.pages(depth, 1), MADV_DONTNEED), 0);
    ASSERT_EQ(child.Move(target_.pages(8 * depth, 4), target_.spare(8 * depth),
                         PageCount(4)),
              0);
  }
  Release();
  for (uint64_t depth = 0; depth <= 4; ++depth) {
    for (uint64_t at = 1; at <= 4; ++at) {
      if (at <= depth) {
        ExpectZero(at, *line[depth]);
        ExpectImagePageAt(target_.spare(8 * at + 1), 8 * at + 1, *line[depth]);
      } else {
        ExpectImagePage(at, at, *line[depth]);
        ExpectImagePage(8 * at + 1, 8 * at + 1, *line[depth]);
      }
    }
    EXPECT_THAT(target_.RegisteredNow(*line[depth]), IsEmpty());
  }
}

class ForksAmongRepliesTest : public ForksSessionTest {
 protected:
  ForksAmongRepliesTest() : ForksSessionTest(PageCount(512)) {}

  // Delivers what is asked for on several threads, until the session ends.
  void DeliverToTheEnd() {
    std::vector<std::thread> deliverers;
    for (int i = 0; i < 3; ++i) {
      deliverers.emplace_back([this, i] {
        while (!session_->has_ended()) {
          const bool delivered =
              i == 0 ? source_->ReleaseOldest() : source_->ReleaseNewest();
          if (!delivered) std::this_thread::yield();
        }
      });
    }
    for (std::thread& deliverer : deliverers) deliverer.join();
  }
};

TEST_F(ForksAmongRepliesTest, NoChildMissesAReplyThatIsOnItsWay) {
  source_->LimitBatches(PageCount(3));
  StartFamilies({12, 2, false});
  DeliverToTheEnd();
  ExpectFamiliesRight(12 * 2);
  EXPECT_EQ(State(), SessionState::kComplete);
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

TEST_F(ForksAmongRepliesTest, NoChildMissesAReplyWhenItsParentLeaves) {
  source_->LimitBatches(PageCount(3));
  StartFamilies({12, 3, true});
  DeliverToTheEnd();
  ExpectFamiliesRight(12 * 3);
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

}  // namespace
}  // namespace pagelift
