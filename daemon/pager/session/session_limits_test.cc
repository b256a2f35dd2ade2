// Targets that are at their limits: what does not fit is waited for, and is
// never something else than it should be.

#include <sys/mman.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/uffd/testing/memory_limit.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;
using ::testing::IsEmpty;

constexpr PageCount kManyPages{1024};

// The target may have half of what it had when it was checkpointed.
class MemoryLimitSessionTest : public HeldSessionTestBase {
 protected:
  MemoryLimitSessionTest() : HeldSessionTestBase(kManyPages) {}

  void SetUp() override {
    if (kInstrumented) GTEST_SKIP() << "its own memory does not fit";
    limit_.Add(thread().process());
    HeldSessionTestBase::SetUp();
  }

  // Until pages were refused, and asked for again.
  void WaitForRefusals() {
    ASSERT_TRUE(Eventually(
        [this] { return PageCount(3 * kManyPages.raw()) < PagesAskedFor(); }));
  }

  MemoryLimit limit_{PageCount(kManyPages.raw() / 2)};
};

TEST_F(MemoryLimitSessionTest, WhatDoesNotFitIsWaitedForUntilItDoes) {
  constexpr uint64_t kLast = kManyPages.raw() - 1;
  // At its limit the target can do nothing that takes memory, such as to answer
  // us, or to fault: it waits for its page before, and that does not come
  // before.
  source_->FailFrom(ImagePage(kLast), absl::UnavailableError("not now"));
  thread(1).StartRead(target_.page(kLast));
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  source_->StopHolding();
  ASSERT_NO_FATAL_FAILURE(WaitForRefusals());
  source_->FailFrom(ImagePage(kLast), absl::OkStatus());
  ASSERT_TRUE(source_->WaitForRequests(source_->requests().size() + 50, kSoon));
  EXPECT_FALSE(thread(1).has_finished());
  EXPECT_EQ(State(), SessionState::kDraining);
  EXPECT_LT(PageCount(0), session_->Snapshot().pages_missing);
  EXPECT_EQ(session_->stats().pages_lost, 0u);
  limit_.Set(PageCount(4 * kManyPages.raw()));
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(kLast)));
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_EQ(session_->stats().pages_installed, kManyPages.raw());
  for (uint64_t i = 0; i < kManyPages.raw(); ++i) ExpectImagePage(i, i);
}

TEST_F(MemoryLimitSessionTest, ATargetThatIsKilledAtItsLimitEndsItsSession) {
  source_->StopHolding();
  ASSERT_NO_FATAL_FAILURE(WaitForRefusals());
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

// A process may have only so many mappings (vm.max_map_count).
class MappingLimitSessionTest : public HeldSessionTestBase {};

TEST_F(MappingLimitSessionTest, ATargetWithAsManyMappingsAsMayBeIsLetGo) {
  ASSERT_EQ(thread().On(Op::kUnmap, target_.pages(20, 4)), 0);
  ASSERT_EQ(thread().Move(target_.pages(8, 4), target_.spare(), PageCount(4)),
            0);
  ASSERT_LT(0, thread().On(Op::kSplit, {}));
  ASSERT_EQ(thread().On(Op::kUnmap, target_.pages(40, 4)), -1)
      << "there was no limit";
  TargetThread& child = target_.Fork(thread());
  Release();
  for (TargetThread* reader : {&thread(), &child}) {
    ExpectImagePage(41, 41, *reader);
    ExpectImagePageAt(target_.spare(1), 9, *reader);
    EXPECT_THAT(target_.RegisteredNow(*reader), IsEmpty());
  }
}

// A session may have only so many forked processes that lack memory.
class ForkLimitSessionTest : public HeldSessionTestBase {
 protected:
  void Configure(Session::Options& options, FakePageSource&) override {
    options.limits.forked_processes = 1;
  }
};

TEST_F(ForkLimitSessionTest, AForkBeyondItWaitsForOneBeforeIt) {
  TargetThread& first = target_.Fork(thread());
  TargetThread& second = target_.StartFork(thread());
  ASSERT_TRUE(Eventually([this] {
    return absl::StrContains(session_->Snapshot().trouble,
                             "--forked-processes");
  }));
  EXPECT_FALSE(thread().has_finished());
  EXPECT_EQ(session_->stats().forks, 1u);
  target_.Kill(first);
  target_.FinishFork(thread(), second);
  Release();
  EXPECT_EQ(session_->stats().forks, 2u);
  for (uint64_t page : {0, 7}) ExpectImagePage(page, page, second);
  EXPECT_EQ(session_->Snapshot().trouble, "");
}

// And only so many events are read in a second.
class EventLimitSessionTest : public HeldSessionTestBase {
 protected:
  void Configure(Session::Options& options, FakePageSource&) override {
    options.limits.events_per_second = 1e-3;
  }
};

TEST_F(EventLimitSessionTest, AnEventBeyondItWaits) {
  TargetCommand remove;
  remove.op = Op::kAdvise;
  remove.value = MADV_DONTNEED;
  remove.range = target_.pages(3, 1);
  thread().Start(remove);
  EXPECT_EQ(thread().Finish().result, 0);
  remove.range = target_.pages(5, 1);
  thread(1).Start(remove);
  ASSERT_TRUE(thread(1).WaitUntilBlocked());
  EXPECT_EQ(session_->stats().removes, 1u);
  // It is no reason to wait for its end.
  target_.Kill();
  EXPECT_TRUE(WaitUntilEnded());
}

}  // namespace
}  // namespace pagelift
