#include "lib/transport/page_service.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_batch_codec.h"
#include "lib/transport/testing/test_page_server.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPages = 1024;
constexpr char kName[] = "redis/1";

// A client as any language would make it: plain Protocol Buffers.
class PageServiceTest : public ::testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::FetchRequest, v1::PageBatch>;

  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
  };

  PageServiceTest() {
    catalog_.Put(kName, store_);
    server_ = std::make_unique<TestServer>(socket_, service_);
    stub_ = v1::PageServer::NewStub(grpc::CreateChannel(
        TestServer::AddressOf(socket_), grpc::InsecureChannelCredentials()));
  }

  std::unique_ptr<Call> Open() {
    auto call = std::make_unique<Call>();
    // Nothing here takes long; a test that hangs should say where.
    call->context.set_deadline(std::chrono::system_clock::now() +
                               std::chrono::minutes(1));
    call->stream = stub_->FetchPages(&call->context);
    return call;
  }

  static v1::FetchRequest Start(v1::Urgency urgency) {
    v1::FetchRequest request;
    request.mutable_start()->set_image(kName);
    request.mutable_start()->set_content_id(
        OneTaskImage(1, {PageId(0), PageCount(1)}).content_id);
    request.mutable_start()->set_urgency(urgency);
    return request;
  }

  std::unique_ptr<Call> OpenStarted(v1::Urgency urgency) {
    std::unique_ptr<Call> call = Open();
    call->stream->Write(Start(urgency));
    return call;
  }

  static v1::FetchRequest Fetch(uint64_t id, uint64_t first, uint64_t count) {
    v1::FetchRequest request;
    request.mutable_fetch()->set_id(id);
    request.mutable_fetch()->set_first_page(first);
    request.mutable_fetch()->set_page_count(count);
    return request;
  }

  static std::vector<v1::PageBatch> ReadAll(Call& call) {
    std::vector<v1::PageBatch> batches;
    v1::PageBatch batch;
    while (call.stream->Read(&batch)) batches.push_back(batch);
    return batches;
  }

  // How a stream ends whose requests are these.
  grpc::Status StatusAfter(const std::vector<v1::FetchRequest>& requests) {
    std::unique_ptr<Call> call = Open();
    for (const v1::FetchRequest& request : requests) {
      call->stream->Write(request);
    }
    call->stream->WritesDone();
    ReadAll(*call);
    return call->stream->Finish();
  }

  // Everything that is answered to one request, which must be right.
  std::vector<v1::PageBatch> Answer(v1::Urgency urgency, uint64_t first,
                                    uint64_t count) {
    std::unique_ptr<Call> call = OpenStarted(urgency);
    call->stream->Write(Fetch(5, first, count));
    call->stream->WritesDone();
    std::vector<v1::PageBatch> batches = ReadAll(*call);
    EXPECT_TRUE(call->stream->Finish().ok());
    uint64_t next = first;
    for (const v1::PageBatch& batch : batches) {
      EXPECT_EQ(batch.id(), 5u);
      EXPECT_EQ(batch.first_page(), next);
      next += batch.page_count();
      if (batch.error_code() != 0 || batch.encoding() == v1::ENCODING_ZERO) {
        EXPECT_THAT(batch.pages(), IsEmpty());
        continue;
      }
      EXPECT_THAT(batch.pages(), SizeIs(batch.page_count() * kPageSize));
      EXPECT_EQ(batch.checksum(), ChecksumOf(batch.pages()));
      for (uint64_t i = 0; i < batch.page_count(); ++i) {
        EXPECT_TRUE(HoldsPattern(batch.pages().data() + i * kPageSize,
                                 ImagePage(batch.first_page() + i)));
      }
    }
    EXPECT_EQ(next, first + count);
    return batches;
  }

  static uint64_t ChecksumOf(const std::string& pages) {
    return PageChecksum({ByteSpan(
        reinterpret_cast<const std::byte*>(pages.data()), pages.size())});
  }

  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  std::shared_ptr<FakePageStore> store_ = std::make_shared<FakePageStore>(
      OneTaskImage(1, {PageId(0), PageCount(kPages)}));
  FakeCatalog catalog_;
  PageService service_{catalog_};
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<v1::PageServer::Stub> stub_;
};

TEST_F(PageServiceTest, ListsImagesAndWhatIsWrongWithSome) {
  catalog_.Break("broken", absl::DataLossError("pages-1.img is too short"));
  grpc::ClientContext context;
  v1::ListImagesResponse response;
  ASSERT_TRUE(stub_->ListImages(&context, {}, &response).ok());
  ASSERT_EQ(response.images_size(), 2);
  EXPECT_EQ(response.images(0).name(), "broken");
  EXPECT_THAT(response.images(0).error(), HasSubstr("too short"));
  EXPECT_EQ(response.images(1).name(), kName);
  EXPECT_EQ(response.images(1).page_count(), kPages);
  EXPECT_THAT(response.images(1).error(), IsEmpty());
}

TEST_F(PageServiceTest, DescribesAnImage) {
  grpc::ClientContext context;
  v1::OpenImageRequest request;
  request.set_name(kName);
  request.set_protocol_version(7);  // A later client.
  auto reader = stub_->OpenImage(&context, request);
  v1::OpenImageResponse part;
  ASSERT_TRUE(reader->Read(&part));
  EXPECT_EQ(part.header().protocol_version(), 1u);
  EXPECT_EQ(part.header().page_count(), kPages);
  EXPECT_EQ(part.header().checksum(), v1::CHECKSUM_XXH3_64);
  ASSERT_TRUE(reader->Read(&part));
  EXPECT_EQ(part.task().pid(), 1);
  EXPECT_FALSE(reader->Read(&part));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(PageServiceTest, OpensNeitherUnknownNorBrokenImages) {
  catalog_.Break("broken", absl::DataLossError("pages-1.img is too short"));
  auto status_of = [this](const std::string& name, uint32_t version) {
    grpc::ClientContext context;
    v1::OpenImageRequest request;
    request.set_name(name);
    request.set_protocol_version(version);
    auto reader = stub_->OpenImage(&context, request);
    v1::OpenImageResponse part;
    while (reader->Read(&part)) {
    }
    return reader->Finish();
  };
  EXPECT_EQ(status_of("nope", 1).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status_of("broken", 1).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status_of("broken", 1).error_message(), HasSubstr("too short"));
  EXPECT_EQ(status_of(kName, 0).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(PageServiceTest, AnswersDemandAndPrefetchAlike) {
  for (v1::Urgency urgency : {v1::URGENCY_DEMAND, v1::URGENCY_PREFETCH}) {
    EXPECT_THAT(Answer(urgency, 17, 1), SizeIs(1));
    EXPECT_THAT(Answer(urgency, 0, kPages), SizeIs(kPages / 64));
  }
}

TEST_F(PageServiceTest, BatchesAreAsShortAsTheClientLikes) {
  for (uint32_t most : {1u, 4096u, 10000u, 65536u}) {
    std::unique_ptr<Call> call = Open();
    v1::FetchRequest start = Start(v1::URGENCY_PREFETCH);
    start.mutable_start()->set_max_batch_bytes(most);
    call->stream->Write(start);
    call->stream->Write(Fetch(1, 0, 32));
    call->stream->WritesDone();
    const uint64_t pages = std::max(most / 4096, 1u);
    EXPECT_THAT(ReadAll(*call), SizeIs((32 + pages - 1) / pages));
    EXPECT_TRUE(call->stream->Finish().ok());
  }
}

TEST_F(PageServiceTest, SendsZeroRunsWithoutBytes) {
  store_->MakeZero({ImagePage(10), PageCount(500)});
  std::vector<v1::PageBatch> batches = Answer(v1::URGENCY_PREFETCH, 0, 600);
  ASSERT_THAT(batches, SizeIs(4));  // Data, zeros, 64 and 26 of data.
  EXPECT_EQ(batches[1].first_page(), 10u);
  EXPECT_EQ(batches[1].page_count(), 500u);
  EXPECT_EQ(batches[1].encoding(), v1::ENCODING_ZERO);
  EXPECT_EQ(batches[1].checksum(), 0u);
}

TEST_F(PageServiceTest, ReportsLostPagesAndSendsTheirNeighbours) {
  store_->Lose({ImagePage(3), PageCount(2)});
  std::vector<v1::PageBatch> batches = Answer(v1::URGENCY_DEMAND, 0, 8);
  ASSERT_THAT(batches, SizeIs(4));
  EXPECT_EQ(batches[0].page_count(), 3u);
  EXPECT_EQ(batches[1].error_code(),
            static_cast<int>(grpc::StatusCode::DATA_LOSS));
  EXPECT_EQ(batches[1].page_count(), 1u);
  EXPECT_EQ(batches[3].page_count(), 3u);
}

TEST_F(PageServiceTest, SurvivesATruncatedFileAndSendsWhatIsLeft) {
  store_->TruncateAt(ImagePage(21));
  for (v1::Urgency urgency : {v1::URGENCY_DEMAND, v1::URGENCY_PREFETCH}) {
    uint64_t good = 0;
    for (const v1::PageBatch& batch : Answer(urgency, 0, 30)) {
      if (batch.error_code() == 0) {
        good += batch.page_count();
        continue;
      }
      EXPECT_EQ(batch.error_code(),
                static_cast<int>(grpc::StatusCode::DATA_LOSS));
      EXPECT_GE(batch.first_page(), 21u);
    }
    EXPECT_EQ(good, 21u);
  }
}

TEST_F(PageServiceTest, ErrorMessagesAreValidUtf8) {
  class BadStore : public PageStore {
   public:
    const ImageDescription& description() const override {
      return description_;
    }
    absl::StatusOr<StoredRun> Read(ImageRange) const override {
      return absl::DataLossError("no \xff\xfe file");
    }

   private:
    ImageDescription description_ = OneTaskImage(1, {PageId(0), PageCount(1)});
  };
  catalog_.Put(kName, std::make_shared<BadStore>());
  std::vector<v1::PageBatch> batches = Answer(v1::URGENCY_DEMAND, 0, 1);
  ASSERT_THAT(batches, SizeIs(1));
  EXPECT_EQ(batches[0].error_message(), "no \\377\\376 file");
}

TEST_F(PageServiceTest, RefusesAStreamThatDoesNotStart) {
  v1::FetchRequest cancel;
  cancel.mutable_cancel()->set_id(1);
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

// A store whose pages are read when the test lets them.
class GatedStore : public PageStore {
 public:
  explicit GatedStore(std::shared_ptr<const PageStore> store)
      : store_(std::move(store)) {}
  const ImageDescription& description() const override {
    return store_->description();
  }
  absl::StatusOr<StoredRun> Read(ImageRange range) const override {
    absl::MutexLock lock(&mu_);
    ++reads_;
    auto let = [this]()
                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return allowed_ > 0; };
    mu_.Await(absl::Condition(&let));
    --allowed_;
    return store_->Read({range.first, PageCount(1)});
  }
  void Allow(int reads) {
    absl::MutexLock lock(&mu_);
    allowed_ += reads;
  }
  void WaitForReads(int reads) {
    auto came = [this, reads]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return reads_ >= reads;
    };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&came));
  }

 private:
  const std::shared_ptr<const PageStore> store_;
  mutable absl::Mutex mu_;
  mutable int allowed_ ABSL_GUARDED_BY(mu_) = 0;
  mutable int reads_ ABSL_GUARDED_BY(mu_) = 0;
};

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
  v1::FetchRequest cancel;
  for (uint64_t id : {3, 1, 2}) {
    cancel.mutable_cancel()->set_id(id);
    call->stream->Write(cancel);
  }
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
  service_.Drain();
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
  service_.Drain();
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
  EXPECT_EQ(service_.stats().streams_open, 1u);
  call->stream->WritesDone();
  EXPECT_TRUE(call->stream->Finish().ok());
  server_.reset();
  EXPECT_EQ(service_.stats().streams_open, 0u);
}

}  // namespace
}  // namespace pagelift
