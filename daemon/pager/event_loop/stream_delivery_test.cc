// A page server's answers, delivered on the thread of an event loop: without
// gRPC's library, so that sanitizers can judge it.

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "daemon/pager/event_loop/event_loop.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/transport/fetch_stream.h"
#include "lib/transport/page_door.h"
#include "lib/transport/stream_admission.h"
#include "lib/transport/testing/test_page_door.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kPages = 2048;
constexpr char kName[] = "redis";

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

// Also knows which threads delivered.
class ThreadsSink : public WaitingSink {
 public:
  void OnPages(const PageBatch& batch) override {
    {
      absl::MutexLock lock(&mu_);
      (batch.urgency == Urgency::kDemand ? demand_ : bulk_)
          .insert(std::this_thread::get_id());
    }
    WaitingSink::OnPages(batch);
  }
  absl::flat_hash_set<std::thread::id> demand() const {
    absl::MutexLock lock(&mu_);
    return demand_;
  }
  absl::flat_hash_set<std::thread::id> bulk() const {
    absl::MutexLock lock(&mu_);
    return bulk_;
  }

 private:
  mutable absl::Mutex mu_;
  absl::flat_hash_set<std::thread::id> demand_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::thread::id> bulk_ ABSL_GUARDED_BY(mu_);
};

class StreamDeliveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    catalog_.Put(kName, store_);
    StartServer();
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    FetchStream::Options options;
    options.image = kName;
    options.content_id = store_->description().content_id;
    options.urgency = Urgency::kPrefetch;
    bulk_ = std::make_unique<FetchStream>(address_, options, &sink_);
    options.urgency = Urgency::kDemand;
    options.watcher = loop_.get();
    demand_ = std::make_unique<FetchStream>(address_, options, &sink_);
  }
  void TearDown() override { EndLoop(); }

  void StartServer() { server_ = OpenPageDoor(address_, streams_); }
  void RunLoop() {
    thread_ = std::thread([this] { EXPECT_OK(loop_->Run()); });
  }
  void EndLoop() {
    loop_->Stop();
    if (thread_.joinable()) thread_.join();
  }
  void Demand(uint64_t first, uint64_t count) {
    for (uint64_t page = first; page < first + count; ++page) {
      demand_->Fetch({Pages(page, 1)});
    }
  }
  void StopOnTheLoop() {
    absl::Notification stopped;
    loop_->Post([&] {
      demand_->Stop();
      stopped.Notify();
    });
    stopped.WaitForNotification();
  }

  TempDir dir_;
  const std::string address_ = "unix:" + dir_.Join("s");
  std::shared_ptr<FakePageStore> store_ = std::make_shared<FakePageStore>(
      OneTaskImage(1, {PageId(0), PageCount(kPages)}));
  FakeCatalog catalog_;
  StreamAdmission streams_{catalog_};
  std::unique_ptr<PageDoor> server_;
  ThreadsSink sink_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<FetchStream> bulk_;
  std::unique_ptr<FetchStream> demand_;
  std::thread thread_;
};

TEST_F(StreamDeliveryTest, DemandsComeOnTheLoopsThreadAndOnlyThose) {
  RunLoop();
  bulk_->Fetch({Pages(1000, kPages - 1000)});
  Demand(0, 1000);
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
  EXPECT_THAT(sink_.demand(), ElementsAre(thread_.get_id()));
  EXPECT_FALSE(sink_.bulk().contains(thread_.get_id()));
}

TEST_F(StreamDeliveryTest, WhatIsDemandedBeforeItRunsComesThen) {
  Demand(0, 1500);
  bulk_->Fetch({Pages(1500, 1)});
  ASSERT_TRUE(sink_.WaitForPages(1));
  EXPECT_THAT(sink_.demand(), IsEmpty());
  RunLoop();
  ASSERT_TRUE(sink_.WaitForPages(1501));
  ExpectPattern(sink_, Pages(0, 1501));
}

TEST_F(StreamDeliveryTest, GoesOnWhenServersComeAndGo) {
  RunLoop();
  for (uint64_t i = 0; i < 5; ++i) {
    Demand(100 * i, 50);
    ASSERT_TRUE(sink_.WaitForPages(100 * i + 50));
    server_.reset();
    Demand(100 * i + 50, 50);
    StartServer();
    ASSERT_TRUE(sink_.WaitForPages(100 * (i + 1)));
  }
  ExpectPattern(sink_, Pages(0, 500));
  EXPECT_GE(demand_->stats().reconnects.load(), 5u);
  EXPECT_THAT(sink_.demand(), ElementsAre(thread_.get_id()));
}

TEST_F(StreamDeliveryTest, ADeliveryMayAskForMore) {
  // The loop's thread writes what it is about to read the answers of.
  RunLoop();
  absl::Notification asked;
  loop_->Post([&] {
    Demand(0, kPages);
    asked.Notify();
  });
  asked.WaitForNotification();
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
}

TEST_F(StreamDeliveryTest, NothingIsDeliveredAfterAStopOnTheLoop) {
  RunLoop();
  Demand(0, 1);
  ASSERT_TRUE(sink_.WaitForPages(1));
  Demand(0, kPages);
  StopOnTheLoop();
  const size_t batches = sink_.batches();
  Demand(0, kPages);
  // The loop goes round once more.
  StopOnTheLoop();
  EXPECT_EQ(sink_.batches(), batches);
}

TEST_F(StreamDeliveryTest, MayBeStoppedBeforeTheLoopEverRuns) {
  Demand(0, 10);
  demand_->Stop();
  RunLoop();
  absl::Notification went_round;
  loop_->Post([&] { went_round.Notify(); });
  went_round.WaitForNotification();
  EXPECT_THAT(sink_.answers(), IsEmpty());
}

TEST_F(StreamDeliveryTest, MayBeStoppedWhenTheLoopHasEnded) {
  RunLoop();
  Demand(0, 1);
  ASSERT_TRUE(sink_.WaitForPages(1));
  Demand(1, 100);
  EndLoop();
  demand_->Stop();
  EXPECT_THAT(sink_.answers(), Not(IsEmpty()));
}

}  // namespace
}  // namespace pagelift
