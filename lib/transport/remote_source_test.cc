#include "lib/transport/remote_source.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/gated_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/compression_choice.h"
#include "lib/transport/page_service.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPages = 2048;
constexpr char kName[] = "redis";
constexpr absl::Duration kLong = absl::Seconds(60);

ImageDescription Image() {
  return OneTaskImage(1, {PageId(0), PageCount(kPages)});
}

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

enum class Server {
  kOurs,
  kGrpcAlone,  // One that knows nothing of connections for single calls.
};

class RemoteSourceTest : public ::testing::TestWithParam<Server> {
 protected:
  RemoteSourceTest() {
    catalog_.Put(kName, store_);
    StartServer();
  }
  ~RemoteSourceTest() override {
    if (source_ != nullptr) source_->Stop();
  }

  void StartServer() {
    if (GetParam() == Server::kOurs) {
      server_ = std::make_unique<TestServer>(socket_, service_);
    } else {
      grpc::Service& service = service_;
      server_ = std::make_unique<TestServer>(socket_, service);
    }
  }

  void Open() {
    ASSERT_OK_AND_ASSIGN(source_, RemoteSource::Open(address_, kName, kLong));
    source_->Start(&sink_);
  }

  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  const std::string address_ = TestServer::AddressOf(socket_);
  std::shared_ptr<FakePageStore> store_ =
      std::make_shared<FakePageStore>(Image());
  FakeCatalog catalog_;
  PageService service_{catalog_};
  std::unique_ptr<TestServer> server_;
  WaitingSink sink_;
  std::unique_ptr<RemoteSource> source_;
};

TEST_P(RemoteSourceTest, LearnsWhatTheImageHolds) {
  Open();
  EXPECT_EQ(source_->description().content_id, Image().content_id);
  EXPECT_EQ(source_->description().page_count, PageCount(kPages));
  ASSERT_THAT(source_->description().tasks, SizeIs(1));
}

TEST_P(RemoteSourceTest, SaysWhyItCannotOpen) {
  EXPECT_THAT(RemoteSource::Open(address_, "nope", kLong).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nope\"")));
  catalog_.Break(kName, absl::DataLossError("cut"));
  EXPECT_THAT(
      RemoteSource::Open(address_, kName, kLong).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cut")));
  EXPECT_THAT(
      RemoteSource::Open("unix:" + dir_.Join("nobody"), kName, kLong).status(),
      StatusIs(absl::StatusCode::kUnavailable,
               HasSubstr("is pagelift-server running there")));
}

TEST_P(RemoteSourceTest, FetchesByDemandAndInBulk) {
  Open();
  source_->Fetch(Pages(1000, 1), Urgency::kDemand);
  source_->Fetch(Pages(0, 1000), Urgency::kPrefetch);
  source_->Fetch(Pages(1001, kPages - 1001), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
  EXPECT_EQ(source_->bytes_received(), kPages * kPageSize);
  EXPECT_THAT(source_->trouble(), IsEmpty());
}

TEST_P(RemoteSourceTest, GuessesHowSoonWhatIsPrefetchedArrives) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  Open();
  // Of what was asked for by demand, and while nothing is known of the link,
  // it guesses nothing.
  source_->Fetch(Pages(1, 1), Urgency::kDemand);
  source_->Fetch(Pages(2, 1), Urgency::kPrefetch);
  EXPECT_EQ(source_->ArrivesIn(ImagePage(1)), absl::InfiniteDuration());
  EXPECT_EQ(source_->ArrivesIn(ImagePage(2)), absl::InfiniteDuration());
  gated->Allow(2);
  ASSERT_TRUE(sink_.WaitForPages(2));
  source_->Fetch(Pages(100, 2), Urgency::kPrefetch);
  EXPECT_EQ(source_->ArrivesIn(ImagePage(102)), absl::InfiniteDuration());
  // It is overdue as soon as it is late.
  EXPECT_TRUE(Eventually([this] {
    return source_->ArrivesIn(ImagePage(101)) == absl::ZeroDuration();
  }));
  gated->Allow(2);
  ASSERT_TRUE(sink_.WaitForPages(4));
  EXPECT_EQ(source_->ArrivesIn(ImagePage(101)), absl::InfiniteDuration());
}

TEST_P(RemoteSourceTest, DeliversZeroRunsAsSuch) {
  store_->MakeZero(Pages(100, 700));
  Open();
  source_->Fetch(Pages(100, 700), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(700));
  for (const auto& [page, answer] : sink_.answers()) EXPECT_TRUE(answer.zero);
  EXPECT_EQ(sink_.batches(), 1u);
  EXPECT_EQ(source_->bytes_received(), 0u);
}

TEST_P(RemoteSourceTest, LostPagesAreDataLossAndTheOthersCome) {
  store_->Lose(Pages(7, 2));
  store_->TruncateAt(ImagePage(2000));
  Open();
  source_->Fetch(Pages(0, 2010), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(2010));
  for (const auto& [page, answer] : sink_.answers()) {
    const bool lost = page == 7 || page == 8 || page >= 2000;
    EXPECT_EQ(answer.status.code(),
              lost ? absl::StatusCode::kDataLoss : absl::StatusCode::kOk)
        << page;
  }
}

TEST_P(RemoteSourceTest, ThousandsOfRequestsWaitTheirTurn) {
  Open();
  sink_.Hold();
  // More than the server lets wait on a stream, and than it is sent at once.
  for (int round = 0; round < 3; ++round) {
    for (uint64_t page = 0; page < kPages; ++page) {
      source_->Fetch(Pages(page, 1), Urgency::kPrefetch);
    }
  }
  sink_.Release();
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  EXPECT_EQ(source_->reconnects(), 0u);
}

TEST_P(RemoteSourceTest, ManyShortRequestsGoTogether) {
  store_->MakeZero(Pages(90, 20));
  store_->Lose(Pages(300, 1));
  Open();
  std::vector<ImageRange> ranges;
  // Of one page to seven, which do not touch; and one that fits no buffer.
  for (uint64_t page = 0; page < 1200; page += 9) {
    ranges.push_back(Pages(page, page / 9 % 7 + 1));
  }
  ranges.push_back(Pages(1200, kPages - 1200));
  uint64_t pages = 0;
  for (ImageRange range : ranges) pages += range.count.raw();
  source_->FetchAll(ranges, Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(pages));
  const std::map<uint64_t, WaitingSink::Answer> answers = sink_.answers();
  EXPECT_THAT(answers, SizeIs(pages));
  for (const auto& [page, answer] : answers) {
    SCOPED_TRACE(page);
    EXPECT_EQ(answer.times, 1);
    if (page == 300) {
      EXPECT_EQ(answer.status.code(), absl::StatusCode::kDataLoss);
    } else if (page >= 90 && page < 110) {
      EXPECT_TRUE(answer.zero);
    } else {
      EXPECT_EQ(answer.bytes, PatternOf(ImagePage(page)));
    }
  }
}

TEST_P(RemoteSourceTest, WhatIsPrefetchedMayComeCompressed) {
  constexpr uint64_t kRepetitive = 1500;
  store_->MakeRepetitive(Pages(0, kRepetitive));
  store_->MakeZero(Pages(200, 10));
  ASSERT_OK_AND_ASSIGN(source_, RemoteSource::Open(address_, kName, kLong));
  source_->SetCompression(Compression::kAlways);
  source_->Start(&sink_);
  std::vector<ImageRange> ranges;
  for (uint64_t page = 0; page < 1200; page += 3) {
    ranges.push_back(Pages(page, 3));
  }
  ranges.push_back(Pages(1200, kPages - 1200 - 1));
  source_->FetchAll(ranges, Urgency::kPrefetch);
  source_->Fetch(Pages(kPages - 1, 1), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  for (const auto& [page, answer] : sink_.answers()) {
    SCOPED_TRACE(page);
    EXPECT_EQ(answer.times, 1);
    if (page >= 200 && page < 210) {
      EXPECT_TRUE(answer.zero);
    } else {
      EXPECT_EQ(answer.bytes, page < kRepetitive ? RepetitiveOf(ImagePage(page))
                                                 : PatternOf(ImagePage(page)));
    }
  }
  EXPECT_EQ(source_->checksum_failures(), 0u);
  const uint64_t noise = (kPages - kRepetitive) * kPageSize;
  const uint64_t all = (kPages - 10) * kPageSize;
  if (GetParam() == Server::kOurs) {
    EXPECT_GT(source_->bytes_received(), noise);
    EXPECT_LT(source_->bytes_received(), noise + (all - noise) / 4);
  } else {
    EXPECT_EQ(source_->bytes_received(), all);  // It may, but does not.
  }
}

TEST_P(RemoteSourceTest, FetchMayBeCalledFromADelivery) {
  // Asks for the next page when one arrives.
  class Chain : public WaitingSink {
   public:
    void OnPages(const PageBatch& batch) override {
      WaitingSink::OnPages(batch);
      const ImagePage next = batch.range.limit();
      if (next < ImagePage(100)) {
        source->Fetch({next, PageCount(1)}, Urgency::kDemand);
      }
    }
    PageSource* source = nullptr;
  };
  Chain chain;
  ASSERT_OK_AND_ASSIGN(source_, RemoteSource::Open(address_, kName, kLong));
  chain.source = source_.get();
  source_->Start(&chain);
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  EXPECT_TRUE(chain.WaitForPages(100));
  source_->Stop();
}

TEST_P(RemoteSourceTest, ManyThreadsFetchAtOnce) {
  Open();
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      for (uint64_t page = i; page < kPages; page += 8) {
        source_->Fetch(Pages(page, 1),
                       page % 3 == 0 ? Urgency::kDemand : Urgency::kPrefetch);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
}

TEST_P(RemoteSourceTest, GoesOnWhenTheServerComesBack) {
  Open();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  source_->Fetch(Pages(1, 1), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(2));
  server_.reset();
  source_->Fetch(Pages(2, 10), Urgency::kDemand);
  source_->Fetch(Pages(12, 500), Urgency::kPrefetch);
  StartServer();
  ASSERT_TRUE(sink_.WaitForPages(512));
  ExpectPattern(sink_, Pages(0, 512));
  EXPECT_GE(source_->reconnects(), 2u);
  EXPECT_THAT(source_->trouble(), IsEmpty());
}

TEST_P(RemoteSourceTest, TheRestOfAnAnswerComesAfterACrash) {
  if (GetParam() == Server::kGrpcAlone) {
    GTEST_SKIP() << "gRPC's server does not shut down while a client does not "
                    "read";
  }
  Open();
  sink_.Hold();
  source_->Fetch(Pages(0, kPages), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitUntilHeld());
  server_.reset();  // In the middle of the answer.
  StartServer();
  sink_.Release();
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
}

TEST_P(RemoteSourceTest, ServersComeAndGoWhilePagesAreFetched) {
  Open();
  std::thread fetcher([this] {
    for (uint64_t page = 0; page < kPages; page += 4) {
      source_->Fetch(Pages(page, 4),
                     page % 8 == 0 ? Urgency::kDemand : Urgency::kPrefetch);
    }
  });
  for (int i = 0; i < 5; ++i) {
    server_.reset();
    StartServer();
    EXPECT_TRUE(sink_.WaitForPages(kPages / 8 * static_cast<uint64_t>(i)));
  }
  fetcher.join();
  ASSERT_TRUE(sink_.WaitForPages(kPages));
  ExpectPattern(sink_, Pages(0, kPages));
}

TEST_P(RemoteSourceTest, WaitsForTheCheckpointItOpened) {
  Open();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(1));
  server_.reset();
  ImageDescription other = Image();
  other.content_id = "ffff";
  catalog_.Put(kName, std::make_shared<FakePageStore>(other));
  StartServer();
  source_->Fetch(Pages(1, 1), Urgency::kDemand);
  while (source_->trouble().find("another checkpoint") == std::string::npos) {
    absl::SleepFor(absl::Milliseconds(1));  // Nothing to wait on.
  }
  EXPECT_THAT(sink_.answers(), SizeIs(1));
  catalog_.Put(kName, store_);
  EXPECT_TRUE(sink_.WaitForPages(2));
}

TEST_P(RemoteSourceTest, StopEndsDeliveries) {
  Open();
  source_->Fetch(Pages(0, kPages), Urgency::kPrefetch);
  source_->Stop();
  const size_t batches = sink_.batches();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  source_->Stop();
  EXPECT_EQ(sink_.batches(), batches);
}

TEST_P(RemoteSourceTest, StopWaitsForADeliveryUnderWay) {
  Open();
  sink_.Hold();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitUntilHeld());
  absl::Notification stopped;
  std::thread stopper([&] {
    source_->Stop();
    stopped.Notify();
  });
  EXPECT_FALSE(stopped.WaitForNotificationWithTimeout(absl::Milliseconds(50)));
  sink_.Release();
  stopper.join();
  EXPECT_THAT(sink_.answers(), SizeIs(1));
}

TEST_P(RemoteSourceTest, SeveralThreadsMayStop) {
  Open();
  source_->Fetch(Pages(0, kPages), Urgency::kPrefetch);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { source_->Stop(); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(RemoteSourceTest, StopsWhileTheServerIsAway) {
  Open();
  server_.reset();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  while (source_->trouble().empty()) absl::SleepFor(absl::Milliseconds(1));
  source_->Stop();
}

INSTANTIATE_TEST_SUITE_P(Servers, RemoteSourceTest,
                         ::testing::Values(Server::kOurs, Server::kGrpcAlone));

}  // namespace
}  // namespace pagelift
