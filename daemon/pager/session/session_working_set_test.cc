// What a session records of its targets, and what it makes of what is known.

#include <vector>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/session_test_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/memory/page.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/workingset/recording.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

constexpr PrefetchMode kOff{PrefetchMode::Kind::kOff, 0};

class RecordedSessionTest : public SessionTestBase {
 protected:
  void Configure(Session::Options& options,
                 FakePageSource& /*source*/) override {
    options.prefetch = kOff;
  }

  void ReadInOrder(const std::vector<uint64_t>& pages) {
    for (uint64_t page : pages) ExpectImagePage(page, page);
  }
};

TEST_F(RecordedSessionTest, OfAnUnknownImageItKeepsWhatWasTouched) {
  target_.Restore(dir_.path());
  ReadInOrder({7, 8, 50, 3, 7});
  session_->SetPrefetch(PrefetchMode());
  ASSERT_TRUE(WaitUntilEnded());
  ASSERT_TRUE(Eventually([this] { return !source_->kept().empty(); }));
  EXPECT_THAT(source_->kept().front().runs(),
              ElementsAre(Pages(7, 2), Pages(50, 1), Pages(3, 1)));
  EXPECT_EQ(source_->kept().size(), 1u);
}

TEST_F(RecordedSessionTest, ItKeepsTheRecordingOfATargetThatEnds) {
  target_.Restore(dir_.path());
  ReadInOrder({9});
  target_.Kill();
  ASSERT_TRUE(WaitUntilEnded());
  ASSERT_TRUE(Eventually([this] { return !source_->kept().empty(); }));
  EXPECT_THAT(source_->kept().front().runs(), ElementsAre(Pages(9, 1)));
}

TEST_F(RecordedSessionTest, NothingTouchedIsNoRecording) {
  target_.Restore(dir_.path());
  session_->SetPrefetch(PrefetchMode());
  ASSERT_TRUE(WaitUntilEnded());
  session_.reset();  // Would have waited for it.
  source_ = nullptr;
}

class RecordingSessionTest : public RecordedSessionTest {
 protected:
  void Configure(Session::Options& options, FakePageSource& source) override {
    options.record = true;
    Recording known;
    EXPECT_TRUE(known.Append(Pages(0, 64)));
    source.KnowWorkingSet(known);
  }
};

TEST_F(RecordingSessionTest, BringsNothingUntilTheTargetHasSettled) {
  target_.Restore(dir_.path());
  ReadInOrder({20, 10});
  EXPECT_EQ(source_->requests().size(), 2u);
  EXPECT_EQ(session_->Snapshot().prefetch, kOff);
  // Then everything, by itself.
  ASSERT_TRUE(WaitUntilEnded());
  ASSERT_TRUE(Eventually([this] { return !source_->kept().empty(); }));
  EXPECT_THAT(source_->kept().front().runs(),
              ElementsAre(Pages(20, 1), Pages(10, 1)));
}

TEST_F(RecordingSessionTest, WhoTunesItDoesNotWaitForThat) {
  target_.Restore(dir_.path());
  ReadInOrder({20});
  session_->SetPrefetch(PrefetchMode());
  ASSERT_TRUE(WaitUntilEnded());
  for (uint64_t i = 0; i < kPages.raw(); ++i) ExpectImagePage(i, i);
}

class KnownImageSessionTest : public SessionTestBase {
 protected:
  void Configure(Session::Options& /*options*/,
                 FakePageSource& source) override {
    source.HoldReplies();
    Recording known;
    EXPECT_TRUE(known.Append(Pages(40, 2)));
    EXPECT_TRUE(known.Append(Pages(5, 1)));
    source.KnowWorkingSet(known);
  }
};

TEST_F(KnownImageSessionTest, ItsFirstPagesAreAskedForBeforeTheTargetRuns) {
  target_.Connect(dir_.path());
  target_.HandOver();
  ASSERT_TRUE(source_->WaitForRequests(3, kSoon));
  const std::vector<FakePageSource::Request> requests = source_->requests();
  EXPECT_EQ(requests[0].range, Pages(40, 1));
  EXPECT_EQ(requests[1].range, Pages(41, 1));
  EXPECT_EQ(requests[2].range, Pages(5, 1));
  EXPECT_EQ(session_->stats().demand_fetches, 0u);
  source_->StopHolding();
  target_.Finish();
  ASSERT_TRUE(WaitUntilEnded());
  EXPECT_THAT(source_->kept(), IsEmpty());
}

}  // namespace
}  // namespace pagelift
