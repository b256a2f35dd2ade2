// Faults of pages that are on their way already.

#include <algorithm>

#include "absl/time/time.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gtest/gtest.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

constexpr uint64_t kPage = 40;

class LateFaultsTest : public SessionTestBase {
 protected:
  void Configure(Session::Options& /*options*/,
                 FakePageSource& source) override {
    source.HoldReplies();
  }

  // A thread reads a page that is being prefetched.
  void ReadWhatIsOnItsWay() {
    target_.Restore(dir_.path());
    ASSERT_TRUE(Eventually([this] { return HasAskedFor(Urgency::kPrefetch); }));
    thread().StartRead(target_.page(kPage));
    ASSERT_TRUE(
        Eventually([this] { return session_->stats().late_faults == 1u; }));
  }

  bool HasAskedFor(Urgency urgency) const {
    const auto requests = source_->requests();
    return std::any_of(requests.begin(), requests.end(),
                       [urgency](const FakePageSource::Request& request) {
                         return request.urgency == urgency &&
                                request.range.Contains(ImagePage(kPage));
                       });
  }

  void ExpectRead() {
    EXPECT_TRUE(HoldsPattern(thread().Finish().page.data(), ImagePage(kPage)));
  }
};

TEST_F(LateFaultsTest, WhatIsAboutToComeIsWaitedFor) {
  source_->PromiseIn(absl::Hours(1));
  ReadWhatIsOnItsWay();
  source_->StopHolding();
  ExpectRead();
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_FALSE(HasAskedFor(Urgency::kDemand));
  EXPECT_EQ(session_->stats().demand_fetches, 0u);
}

TEST_F(LateFaultsTest, WhatDoesNotKeepThePromiseIsDemanded) {
  source_->PromiseIn(absl::Milliseconds(1));
  ReadWhatIsOnItsWay();
  ASSERT_TRUE(Eventually([this] { return HasAskedFor(Urgency::kDemand); }));
  // The demand alone; what was prefetched is still held.
  ASSERT_TRUE(source_->ReleaseNewest());
  ExpectRead();
  EXPECT_EQ(session_->stats().demand_fetches, 1u);
  source_->StopHolding();
  ASSERT_TRUE(WaitUntilEnded());
}

TEST_F(LateFaultsTest, WhatNobodyPromisesIsDemandedAtOnce) {
  ReadWhatIsOnItsWay();
  ASSERT_TRUE(Eventually([this] { return HasAskedFor(Urgency::kDemand); }));
  source_->StopHolding();
  ExpectRead();
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_EQ(session_->stats().demand_fetches, 1u);
}

}  // namespace
}  // namespace pagelift
