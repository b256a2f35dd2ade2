#include "lib/transport/fetch_connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/http2/output_queue.h"
#include "lib/http2/single_call.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/gated_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/fetch_call.h"
#include "lib/transport/fetch_method.h"
#include "lib/transport/page_door.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/testing/fetch_requests.h"
#include "lib/transport/testing/test_page_door.h"
#include "lib/transport/testing/test_page_server.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPages = 1024;
constexpr char kName[] = "redis/1";

v1::FetchRequest Start(v1::Urgency urgency) {
  return pagelift::Start(
      kName, OneTaskImage(1, {PageId(0), PageCount(1)}).content_id, urgency);
}

v1::PageBatch Parsed(const MessagePieces& pieces) {
  v1::PageBatch batch;
  EXPECT_TRUE(batch.ParseFromString(Joined(pieces)));
  return batch;
}

class FetchConnectionTest : public ::testing::TestWithParam<v1::Urgency> {
 protected:
  FetchConnectionTest() {
    catalog_.Put(kName, store_);
    door_ = OpenPageDoor("unix:" + dir_.Join("s"), streams_);
  }

  std::unique_ptr<FetchCall> Open(const v1::FetchRequest& first) {
    auto call = std::make_unique<FetchCall>(door_->address());
    EXPECT_OK(call->Open(first.SerializeAsString()));
    return call;
  }

  static void Write(FetchCall& call, const v1::FetchRequest& request) {
    call.Write({request.SerializeAsString()});
  }

  // Until `pages` are answered, or the call ends.
  static std::vector<v1::PageBatch> Read(FetchCall& call, uint64_t pages) {
    std::vector<v1::PageBatch> batches;
    while (pages > 0) {
      const MessagePieces* message = call.Read();
      if (message == nullptr) break;
      batches.push_back(Parsed(*message));
      pages -= std::min(pages, batches.back().page_count());
    }
    return batches;
  }

  absl::Status StatusAfter(const v1::FetchRequest& first,
                           const std::vector<v1::FetchRequest>& requests) {
    std::unique_ptr<FetchCall> call = Open(first);
    for (const v1::FetchRequest& request : requests) Write(*call, request);
    EXPECT_EQ(call->Read(), nullptr);
    return call->end();
  }

  TempDir dir_;
  std::shared_ptr<FakePageStore> store_ = std::make_shared<FakePageStore>(
      OneTaskImage(1, {PageId(0), PageCount(kPages)}));
  FakeCatalog catalog_;
  StreamAdmission streams_{catalog_};
  std::unique_ptr<PageDoor> door_;
};

TEST_P(FetchConnectionTest, AnswersEveryPageOnceAndInOrder) {
  store_->MakeZero({ImagePage(100), PageCount(50)});
  store_->Lose({ImagePage(700), PageCount(1)});
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  EXPECT_TRUE(call->WaitForAcceptance());
  Write(*call, Fetch(5, 0, kPages));
  uint64_t next = 0;
  for (const v1::PageBatch& batch : Read(*call, kPages)) {
    EXPECT_EQ(batch.id(), 5u);
    EXPECT_EQ(batch.first_page(), next);
    next += batch.page_count();
    EXPECT_EQ(batch.error_code() != 0, batch.first_page() == 700);
    EXPECT_EQ(batch.encoding() == v1::ENCODING_ZERO, batch.first_page() == 100);
    for (uint64_t i = 0; i * kPageSize < batch.pages().size(); ++i) {
      EXPECT_TRUE(HoldsPattern(batch.pages().data() + i * kPageSize,
                               ImagePage(batch.first_page() + i)));
    }
  }
  EXPECT_EQ(next, kPages);
}

TEST_P(FetchConnectionTest, RefusesRequestsThatBreakTheRules) {
  for (const v1::FetchRequest& bad : {Fetch(1, 0, 0), Fetch(1, kPages, 1),
                                      Start(GetParam()), v1::FetchRequest()}) {
    EXPECT_THAT(StatusAfter(Start(GetParam()), {bad}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_P(FetchConnectionTest, TakesManyRequestsAtOnce) {
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  for (uint64_t i = 0; i < kPages; ++i) Write(*call, Fetch(i, i, 1));
  const std::vector<v1::PageBatch> batches = Read(*call, kPages);
  ASSERT_THAT(batches, SizeIs(kPages));
  for (uint64_t i = 0; i < kPages; ++i) EXPECT_EQ(batches[i].first_page(), i);
}

TEST_P(FetchConnectionTest, CancelTakesBackWhatIsNotSentYet) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  gated->Allow(1);
  Write(*call, Fetch(1, 0, 100));
  Write(*call, Fetch(2, 200, 100));
  EXPECT_THAT(Read(*call, 1), SizeIs(1));
  gated->WaitForReads(2);  // Of request 1, whose second page waits.
  for (uint64_t id : {3, 1, 2}) Write(*call, Cancel(id));
  gated->Allow(1);
  const std::vector<v1::PageBatch> rest = Read(*call, 199);
  ASSERT_THAT(rest, SizeIs(3));
  EXPECT_EQ(rest[0].first_page(), 1u);  // Was on its way.
  EXPECT_EQ(rest[1].page_count(), 98u);
  EXPECT_EQ(rest[2].page_count(), 100u);
  for (int i : {1, 2}) {
    EXPECT_EQ(rest[static_cast<size_t>(i)].error_code(),
              static_cast<int>(absl::StatusCode::kCancelled));
  }
}

TEST_P(FetchConnectionTest, TheDiskIsToldOfPrefetchThatWaits) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  Write(*call, Fetch(1, 0, 1));
  gated->WaitForReads(1);
  Write(*call, Fetch(2, 500, 3));
  gated->Allow(4);
  EXPECT_THAT(Read(*call, 4), SizeIs(4));
  if (GetParam() == v1::URGENCY_PREFETCH) {
    EXPECT_THAT(gated->announced(),
                ElementsAre(ImageRange{ImagePage(0), PageCount(1)},
                            ImageRange{ImagePage(500), PageCount(3)}));
  } else {
    EXPECT_THAT(gated->announced(), IsEmpty());
  }
}

TEST_P(FetchConnectionTest, DrainEndsIdleStreamsAndRefusesNewOnes) {
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  EXPECT_TRUE(call->WaitForAcceptance());
  EXPECT_EQ(streams_.open_streams(), 1u);
  streams_.Drain();
  EXPECT_EQ(call->Read(), nullptr);
  EXPECT_EQ(call->end(), ShuttingDownError());
  EXPECT_EQ(StatusAfter(Start(GetParam()), {}), ShuttingDownError());
  door_.reset();
  EXPECT_EQ(streams_.open_streams(), 0u);
}

TEST_P(FetchConnectionTest, DrainLetsAnswersUnderWayFinish) {
  auto gated = std::make_shared<GatedStore>(store_);
  catalog_.Put(kName, gated);
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  Write(*call, Fetch(1, 0, 3));
  gated->WaitForReads(1);
  streams_.Drain();
  gated->Allow(3);
  EXPECT_THAT(Read(*call, kPages), SizeIs(3));
  EXPECT_EQ(call->end(), ShuttingDownError());
}

TEST_P(FetchConnectionTest, AClientThatDoesNotReadHoldsUpNobody) {
  std::unique_ptr<FetchCall> lazy = Open(Start(GetParam()));
  for (uint64_t i = 0; i < 64; ++i) Write(*lazy, Fetch(i, 0, kPages));
  std::unique_ptr<FetchCall> other = Open(Start(GetParam()));
  Write(*other, Fetch(1, 0, kPages));
  EXPECT_THAT(Read(*other, kPages), ::testing::Not(IsEmpty()));
  // Nor does it hold up the end.
  door_->Stop(absl::ZeroDuration());
  Read(*lazy, 64 * kPages);
  EXPECT_THAT(lazy->end(), StatusIs(absl::StatusCode::kUnavailable));
}

class FetchConnectionLimitsTest : public FetchConnectionTest {
 protected:
  ~FetchConnectionLimitsTest() override { door_.reset(); }

  void Limit(const ClientLimits& limits) {
    door_.reset();
    limited_ = std::make_unique<StreamAdmission>(catalog_, limits);
    door_ = OpenPageDoor("unix:" + dir_.Join("limited"), *limited_);
  }

 private:
  std::unique_ptr<StreamAdmission> limited_;
};

TEST_P(FetchConnectionLimitsTest, WhoHasSpentItsShareWaits) {
  ClientLimits limits;
  limits.requests_per_second = 1e-3;
  Limit(limits);
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  EXPECT_TRUE(call->WaitForAcceptance());
  Write(*call, Fetch(1, 0, 1));
  EXPECT_THAT(Read(*call, 1), SizeIs(1));
  // In a quarter of an hour there will be another one.
  Write(*call, Fetch(2, 0, 1));
  std::unique_ptr<FetchCall> other = Open(Start(GetParam()));
  EXPECT_TRUE(other->WaitForAcceptance());
  Write(*other, Fetch(1, 0, 1));
  // The end is not waited for.
  door_->Stop(absl::ZeroDuration());
  EXPECT_THAT(Read(*call, 1), IsEmpty());
  EXPECT_THAT(Read(*other, 1), IsEmpty());
}

TEST_P(FetchConnectionLimitsTest, BytesCountToo) {
  ClientLimits limits;
  limits.bytes_per_second = 1;
  Limit(limits);
  std::unique_ptr<FetchCall> call = Open(Start(GetParam()));
  store_->MakeZero({ImagePage(0), PageCount(50)});
  // Zeros cost nothing.
  for (uint64_t i = 0; i < 50; ++i) Write(*call, Fetch(i, i, 1));
  EXPECT_THAT(Read(*call, 50), SizeIs(50));
  Write(*call, Fetch(51, 100, 1));
  EXPECT_THAT(Read(*call, 1), SizeIs(1));
  Write(*call, Fetch(52, 101, 1));
  door_->Stop(absl::ZeroDuration());
  EXPECT_THAT(Read(*call, 1), IsEmpty());
}

TEST_P(FetchConnectionLimitsTest, StreamsAreCounted) {
  ClientLimits limits;
  limits.streams = 2;
  Limit(limits);
  std::unique_ptr<FetchCall> first = Open(Start(GetParam()));
  EXPECT_TRUE(first->WaitForAcceptance());
  std::unique_ptr<FetchCall> second = Open(Start(GetParam()));
  EXPECT_TRUE(second->WaitForAcceptance());
  EXPECT_THAT(StatusAfter(Start(GetParam()), {}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("as many streams as it may have")));
  first.reset();
  while (true) {
    std::unique_ptr<FetchCall> third = Open(Start(GetParam()));
    if (third->WaitForAcceptance()) break;
    EXPECT_THAT(third->end(), StatusIs(absl::StatusCode::kResourceExhausted));
  }
}

INSTANTIATE_TEST_SUITE_P(Urgencies, FetchConnectionLimitsTest,
                         ::testing::Values(v1::URGENCY_DEMAND,
                                           v1::URGENCY_PREFETCH));

INSTANTIATE_TEST_SUITE_P(Urgencies, FetchConnectionTest,
                         ::testing::Values(v1::URGENCY_DEMAND,
                                           v1::URGENCY_PREFETCH));

class FetchConnectionStartTest : public FetchConnectionTest {};

TEST_F(FetchConnectionStartTest, RefusesAStreamThatDoesNotStart) {
  for (const v1::FetchRequest& first :
       {Cancel(1), Fetch(1, 0, 1), v1::FetchRequest(),
        Start(v1::URGENCY_UNSPECIFIED)}) {
    EXPECT_THAT(StatusAfter(first, {}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(FetchConnectionStartTest, RefusesAnotherCheckpoint) {
  v1::FetchRequest start = Start(v1::URGENCY_DEMAND);
  start.mutable_start()->set_content_id("another");
  EXPECT_THAT(StatusAfter(start, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  start.mutable_start()->set_image("unknown");
  EXPECT_THAT(StatusAfter(start, {}), StatusIs(absl::StatusCode::kNotFound));
}

// A client that is made by hand, for what FetchCall does not do.
class RawClient {
 public:
  RawClient(const std::string& address, const std::string& path)
      : call_(SingleCall::Client("host", path)) {
    UniqueFd never(eventfd(0, EFD_CLOEXEC));
    socket_ = *ConnectTo(address, absl::Seconds(30), never.get());
  }

  void Send(absl::string_view message) { call_->Send(message, {}); }
  void HalfClose() { call_->Finish(absl::OkStatus()); }

  absl::Status WaitForEnd() {
    while (!call_->ended().has_value()) {
      OutputQueue output;
      call_->Produce(output);
      EXPECT_THAT(output.SendTo(socket_.get(), 0), IsOkAndHolds(true));
      char bytes[4096];
      pollfd polled = {socket_.get(), POLLIN, 0};
      poll(&polled, 1, -1);
      const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
      if (n <= 0) return absl::UnavailableError("closed");
      EXPECT_OK(call_->Receive(
          BytesOf(absl::string_view(bytes, static_cast<size_t>(n)))));
      while (call_->messages().has_message()) {
        ++messages_;
        call_->messages().Pop();
      }
    }
    return *call_->ended();
  }
  int messages() const { return messages_; }

 private:
  std::unique_ptr<SingleCall> call_;
  UniqueFd socket_;
  int messages_ = 0;
};

TEST_F(FetchConnectionStartTest, AHalfClosedStreamEndsWhenAllIsAnswered) {
  RawClient client(door_->address(), kFetchPagesMethod);
  client.Send(Start(v1::URGENCY_PREFETCH).SerializeAsString());
  client.Send(Fetch(1, 0, 1).SerializeAsString());
  client.Send(Fetch(2, 5, 1).SerializeAsString());
  client.HalfClose();
  EXPECT_OK(client.WaitForEnd());
  EXPECT_EQ(client.messages(), 2);
}

TEST_F(FetchConnectionStartTest, AStreamThatEndsBeforeItStartsIsAnError) {
  RawClient client(door_->address(), kFetchPagesMethod);
  client.HalfClose();
  EXPECT_THAT(client.WaitForEnd(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(FetchConnectionStartTest, OtherMethodsAreForOtherConnections) {
  RawClient client(door_->address(), "/pagelift.v1.PageServer/ListImages");
  client.Send("");
  EXPECT_THAT(client.WaitForEnd(), StatusIs(absl::StatusCode::kUnimplemented,
                                            HasSubstr("FetchPages")));
}

TEST_F(FetchConnectionStartTest, MessagesThatAreNoRequestsAreRefused) {
  RawClient client(door_->address(), kFetchPagesMethod);
  client.Send("\xff\xff\xff");
  EXPECT_THAT(client.WaitForEnd(), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("cannot be parsed")));
}

}  // namespace
}  // namespace pagelift
