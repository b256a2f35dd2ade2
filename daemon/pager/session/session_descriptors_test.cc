// Forks for whose children the daemon has no free descriptor: they wait, and
// nothing is lost.

#include <sys/resource.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "daemon/pager/session/testing/other_threads.h"
#include "daemon/pager/session/testing/userfaultfds_here.h"
#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

constexpr int kThreads = RestoredTarget::kThreads;

class DescriptorsSessionTest : public HeldSessionTestBase {
 protected:
  void SetUp() override {
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    HeldSessionTestBase::SetUp();
  }
  void TearDown() override {
    Allow(before_.rlim_cur);
    HeldSessionTestBase::TearDown();
  }

  // Descriptors with numbers below `limit` may be opened; what is open stays.
  void Allow(rlim_t limit) {
    rlimit lowered = before_;
    lowered.rlim_cur = limit;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  }
  bool WaitUntilItIsSaid() {
    return Eventually([this] {
      return absl::StrContains(session_->Snapshot().trouble, "forks");
    });
  }
  // The lowest number that is free.
  static rlim_t NextDescriptor() {
    UniqueFd next(dup(0));
    CHECK(next.valid());
    return static_cast<rlim_t>(next.get());
  }

  rlimit before_ = {};
};

TEST_F(DescriptorsSessionTest, AForkWaitsWhileThereIsNoFreeDescriptor) {
  const OtherThreads threads;
  Allow(0);
  TargetThread& child = target_.StartFork(thread());
  const bool noticed = WaitUntilItIsSaid();
  const bool asleep = FallAsleep(threads);
  // The others go on.
  thread(1).StartRead(target_.page(1));
  const bool asked = source_->WaitForRequests(2, kSoon);
  Allow(before_.rlim_cur);
  EXPECT_TRUE(noticed);
  EXPECT_TRUE(asked);
  EXPECT_TRUE(asleep);
  target_.FinishFork(thread(), child);
  EXPECT_TRUE(
      Eventually([this] { return session_->Snapshot().trouble.empty(); }));
  Release();
  ExpectImagePage(9, 9, child);
  EXPECT_TRUE(HoldsPattern(thread(1).Finish().page.data(), ImagePage(1)));
}

TEST_F(DescriptorsSessionTest, ManyForksWaitAndGoOnAsDescriptorsBecomeFree) {
  const rlim_t first = NextDescriptor();
  Allow(0);
  for (int i = 0; i < kThreads; ++i) {
    thread(i).StartFamily(target_.region(), 0, {10, 2, false});
  }
  const bool noticed = WaitUntilItIsSaid();
  const uint64_t forks_without = session_->stats().forks;
  // Room for a few of them, and then for some more.
  uint64_t forks = 0;
  for (rlim_t room : {8, 24, 64}) {
    Allow(first + room);
    const bool more =
        Eventually([&] { return session_->stats().forks > forks; });
    forks = session_->stats().forks;
    EXPECT_TRUE(more) << "with room for " << room;
    EXPECT_TRUE(WaitUntilItIsSaid());
  }
  Allow(before_.rlim_cur);
  EXPECT_TRUE(noticed);
  EXPECT_EQ(forks_without, 0u);
  EXPECT_TRUE(Eventually(
      [this] { return session_->stats().forks == kThreads * 10 * 2; }));
  EXPECT_TRUE(
      Eventually([this] { return session_->Snapshot().trouble.empty(); }));
  Release();
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_EQ(thread(i).Finish().result, 10 * 2) << "of thread " << i;
  }
  EXPECT_EQ(UserfaultFdsHere(), 0);
}

TEST_F(DescriptorsSessionTest, ATargetIsNotLetGoWhileOneOfItsForksWaits) {
  Allow(0);
  TargetThread& child = target_.StartFork(thread());
  const bool noticed = WaitUntilItIsSaid();
  // Installs are refused as long as the fork waits.
  source_->StopHolding();
  const bool goes_on = State() == SessionState::kDraining;
  Allow(before_.rlim_cur);
  EXPECT_TRUE(noticed);
  EXPECT_TRUE(goes_on);
  target_.FinishFork(thread(), child);
  Release();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, i, child);
    ExpectImagePage(i, i);
  }
}

}  // namespace
}  // namespace pagelift
