// The life of streams: what is refused, cancelled, drained, and what many do at
// once.

#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/gated_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_service.h"
#include "lib/transport/testing/fetch_requests.h"
#include "lib/transport/testing/page_service_test_base.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(PageServiceTest, RefusesAStreamThatDoesNotStart) {
  const v1::FetchRequest cancel = Cancel(1);
  EXPECT_EQ(StatusAfter({}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(StatusAfter({cancel}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(StatusAfter({Fetch(1, 0, 1)}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(StatusAfter({v1::FetchRequest()}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(StatusAfter({Start(v1::URGENCY_UNSPECIFIED)}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PageServiceTest, RefusesAStreamOfAnotherCheckpoint) {
  v1::FetchRequest start = Start(v1::URGENCY_DEMAND);
  start.mutable_start()->set_content_id("another");
  EXPECT_EQ(StatusAfter({start}).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  start.mutable_start()->set_image("unknown");
  EXPECT_EQ(StatusAfter({start}).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(PageServiceTest, RefusesRequestsThatBreakTheRules) {
  for (v1::Urgency urgency : {v1::URGENCY_DEMAND, v1::URGENCY_PREFETCH}) {
    const v1::FetchRequest start = Start(urgency);
    for (const v1::FetchRequest& bad :
         {Fetch(1, 0, 0), Fetch(1, kPages, 1), Fetch(1, kPages - 1, 2),
          Fetch(1, 0, 262145), Fetch(1, ~uint64_t{0}, 2),
          Fetch(1, 1, ~uint64_t{0}), start, v1::FetchRequest()}) {
      grpc::Status status = StatusAfter({start, bad});
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
          << bad.ShortDebugString();
    }
  }
}

TEST_F(PageServiceTest, CancelTakesBackWhatIsNotSentYet) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  std::unique_ptr<Call> call = OpenStarted(v1::URGENCY_PREFETCH);
  call->stream->Write(Fetch(1, 0, 100));
  call->stream->Write(Fetch(2, 200, 100));
  v1::PageBatch batch;
  gated->Allow(1);
  ASSERT_TRUE(call->stream->Read(&batch));
  EXPECT_EQ(batch.id(), 1u);
  // Request 1 is being answered, 2 waits, 3 is not known.
  gated->WaitForReads(2);
  for (uint64_t id : {3, 1, 2}) call->stream->Write(Cancel(id));
  call->stream->WritesDone();
  // The page that is being read goes out or not, depending on who is first.
  gated->Allow(200);
  std::map<uint64_t, uint64_t> answered = {{1, 1}};
  for (const v1::PageBatch& answer : ReadAll(*call)) {
    answered[answer.id()] += answer.page_count();
    if (answer.error_code() == 0) continue;
    EXPECT_EQ(answer.error_code(),
              static_cast<int>(grpc::StatusCode::CANCELLED));
  }
  EXPECT_EQ(answered[1], 100u);
  EXPECT_EQ(answered[2], 100u);
  EXPECT_TRUE(call->stream->Finish().ok());
}

TEST_F(PageServiceTest, DrainEndsIdleStreamsAndRefusesNewOnes) {
  std::unique_ptr<Call> demand = OpenStarted(v1::URGENCY_DEMAND);
  std::unique_ptr<Call> prefetch = OpenStarted(v1::URGENCY_PREFETCH);
  demand->stream->WaitForInitialMetadata();
  prefetch->stream->WaitForInitialMetadata();
  service_.streams().Drain();
  EXPECT_THAT(ReadAll(*demand), IsEmpty());
  EXPECT_THAT(ReadAll(*prefetch), IsEmpty());
  EXPECT_FALSE(demand->stream->Finish().ok());
  EXPECT_FALSE(prefetch->stream->Finish().ok());
  EXPECT_EQ(StatusAfter({Start(v1::URGENCY_DEMAND)}).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(PageServiceTest, DrainLetsAnswersUnderWayFinish) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  std::unique_ptr<Call> call = OpenStarted(v1::URGENCY_DEMAND);
  call->stream->Write(Fetch(1, 0, 3));
  gated->WaitForReads(1);
  service_.streams().Drain();
  gated->Allow(3);
  EXPECT_THAT(ReadAll(*call), SizeIs(3));
  EXPECT_EQ(call->stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(PageServiceTest, ServesManyClientsAtOnce) {
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([this, i] {
      Answer(i % 2 == 0 ? v1::URGENCY_DEMAND : v1::URGENCY_PREFETCH,
             static_cast<uint64_t>(i), 900);
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(PageServiceTest, AStreamKeepsItsImageWhenTheNameMovesOn) {
  std::unique_ptr<Call> call = OpenStarted(v1::URGENCY_DEMAND);
  call->stream->WaitForInitialMetadata();
  catalog_.Put(kName, std::make_shared<FakePageStore>(
                          OneTaskImage(1, {PageId(0), PageCount(1)})));
  store_.reset();
  call->stream->Write(Fetch(1, kPages - 1, 1));
  call->stream->WritesDone();
  std::vector<v1::PageBatch> batches = ReadAll(*call);
  ASSERT_THAT(batches, SizeIs(1));
  EXPECT_TRUE(HoldsPattern(batches[0].pages().data(), ImagePage(kPages - 1)));
}

TEST_F(PageServiceTest, CountsOpenStreams) {
  std::unique_ptr<Call> call = OpenStarted(v1::URGENCY_DEMAND);
  call->stream->WaitForInitialMetadata();
  EXPECT_EQ(service_.streams().open_streams(), 1u);
  call->stream->WritesDone();
  EXPECT_TRUE(call->stream->Finish().ok());
  server_.reset();
  EXPECT_EQ(service_.streams().open_streams(), 0u);
}

}  // namespace
}  // namespace pagelift
