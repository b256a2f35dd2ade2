#include "lib/source/store_source.h"

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/source/testing/recording_sink.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class StoreSourceTest : public ::testing::Test {
 protected:
  StoreSourceTest()
      : store_(std::make_shared<FakePageStore>(
            OneTaskImage(7, {PageId(0x1000), PageCount(16)}))),
        source_(store_) {
    source_.Start(&sink_);
  }

  // Checks that `delivery` is data and holds the patterns of its pages.
  static void ExpectPattern(const RecordingSink::Delivery& delivery) {
    ASSERT_EQ(delivery.bytes.size(), delivery.range.count.bytes());
    for (uint64_t i = 0; i < delivery.range.count.raw(); ++i) {
      EXPECT_TRUE(HoldsPattern(delivery.bytes.data() + i * kPageSize,
                               delivery.range.first + PageCount(i)));
    }
  }

  std::shared_ptr<FakePageStore> store_;
  RecordingSink sink_;
  StoreSource source_;
};

TEST_F(StoreSourceTest, DeliversWithinFetchInOneRun) {
  source_.Fetch(Image(3, 5), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].range, Image(3, 5));
  ExpectPattern(deliveries[0]);
  EXPECT_EQ(source_.trouble(), "");
}

TEST_F(StoreSourceTest, DeliversRunsOfZeroPagesAsZero) {
  store_->MakeZero(Image(4, 3));
  source_.Fetch(Image(0, 16), Urgency::kPrefetch);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(3));
  EXPECT_EQ(deliveries[0].range, Image(0, 4));
  ExpectPattern(deliveries[0]);
  EXPECT_EQ(deliveries[1].range, Image(4, 3));
  EXPECT_TRUE(deliveries[1].zero);
  EXPECT_THAT(deliveries[1].bytes, IsEmpty());
  EXPECT_EQ(deliveries[2].range, Image(7, 9));
  ExpectPattern(deliveries[2]);
}

TEST_F(StoreSourceTest, FollowsTheStoresShortRuns) {
  store_->LimitRuns(PageCount(2));
  source_.Fetch(Image(1, 5), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(3));
  EXPECT_EQ(deliveries[2].range, Image(5, 1));
  for (const auto& delivery : deliveries) ExpectPattern(delivery);
}

TEST_F(StoreSourceTest, ReportsLostPagesAndDeliversTheOthers) {
  store_->Lose(Image(2, 2));
  source_.Fetch(Image(0, 8), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(3));
  EXPECT_EQ(deliveries[0].range, Image(0, 2));
  EXPECT_EQ(deliveries[1].range, Image(2, 2));
  EXPECT_EQ(deliveries[1].status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(deliveries[2].range, Image(4, 4));
  EXPECT_EQ(source_.trouble(), "2 pages of the image could not be read");
}

TEST_F(StoreSourceTest, ReportsPagesThatAreLostAtTheEnd) {
  store_->Lose(Image(14, 2));
  source_.Fetch(Image(15, 1), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].range, Image(15, 1));
  EXPECT_FALSE(deliveries[0].status.ok());
}

TEST_F(StoreSourceTest, ATruncatedFileIsDataLossNotACrash) {
  store_->TruncateAt(ImagePage(10));
  source_.Fetch(Image(8, 8), Urgency::kDemand);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[0].range, Image(8, 2));
  ExpectPattern(deliveries[0]);
  EXPECT_EQ(deliveries[1].range, Image(10, 6));
  EXPECT_EQ(deliveries[1].status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreSourceTest, AHoleIsDataLossAndTheZerosBesideItAreNot) {
  store_->MakeZero(Image(4, 4));
  store_->PunchHole(Image(6, 5));
  source_.Fetch(Image(0, 16), Urgency::kPrefetch);
  auto deliveries = sink_.deliveries();
  ASSERT_THAT(deliveries, SizeIs(4));
  ExpectPattern(deliveries[0]);
  EXPECT_EQ(deliveries[1].range, Image(4, 2));
  EXPECT_TRUE(deliveries[1].zero);
  EXPECT_EQ(deliveries[2].range, Image(6, 5));
  EXPECT_EQ(deliveries[2].status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(deliveries[3].range, Image(11, 5));
  ExpectPattern(deliveries[3]);
  EXPECT_EQ(source_.trouble(), "5 pages of the image could not be read");
}

TEST_F(StoreSourceTest, DeliversNothingAfterStop) {
  source_.Stop();
  source_.Stop();
  source_.Fetch(Image(0, 1), Urgency::kDemand);
  EXPECT_THAT(sink_.deliveries(), IsEmpty());
}

// Calls `hook` from within each delivery.
class HookedSink : public PageSink {
 public:
  explicit HookedSink(std::function<void()> hook) : hook_(std::move(hook)) {}
  void OnPages(const PageBatch&) override { hook_(); }
  void OnUnavailable(ImageRange, const absl::Status&) override { hook_(); }

 private:
  std::function<void()> hook_;
};

TEST_F(StoreSourceTest, StopWaitsForADeliveryUnderWay) {
  absl::Mutex mu;
  bool inside = false;
  bool let_go = false;
  bool delivered = false;
  HookedSink sink([&] {
    absl::MutexLock lock(&mu);
    inside = true;
    mu.Await(absl::Condition(&let_go));
    delivered = true;
  });
  StoreSource source(store_);
  source.Start(&sink);
  std::thread fetching([&] { source.Fetch(Image(0, 1), Urgency::kDemand); });
  {
    absl::MutexLock lock(&mu);
    mu.Await(absl::Condition(&inside));
  }
  std::thread stopping([&] {
    source.Stop();
    absl::MutexLock lock(&mu);
    EXPECT_TRUE(delivered);
  });
  {
    absl::MutexLock lock(&mu);
    let_go = true;
  }
  fetching.join();
  stopping.join();
}

TEST_F(StoreSourceTest, FetchMayBeCalledFromWithinADelivery) {
  StoreSource source(store_);
  int deliveries = 0;
  HookedSink sink([&] {
    if (++deliveries < 3) source.Fetch(Image(deliveries, 1), Urgency::kDemand);
  });
  source.Start(&sink);
  source.Fetch(Image(0, 1), Urgency::kDemand);
  EXPECT_EQ(deliveries, 3);
}

}  // namespace
}  // namespace pagelift
