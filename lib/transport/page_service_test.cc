// What the page service tells of images, and how it answers requests.

#include "lib/transport/page_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/source/page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/channel.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/testing/page_service_test_base.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/workingset/working_set.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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
  EXPECT_EQ(part.header().protocol_version(), 2u);
  EXPECT_EQ(part.header().page_count(), kPages);
  EXPECT_EQ(part.header().checksum(), v1::CHECKSUM_XXH3_64_BOUND);
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
  EXPECT_EQ(status_of("nope", 2).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status_of("broken", 2).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status_of("broken", 2).error_message(), HasSubstr("too short"));
  EXPECT_EQ(status_of(kName, 1).error_code(),
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

TEST_F(PageServiceTest, AHoleIsDataLossAndTheZerosBesideItAreNot) {
  store_->MakeZero({ImagePage(2), PageCount(4)});
  store_->PunchHole({ImagePage(4), PageCount(3)});
  for (v1::Urgency urgency : {v1::URGENCY_DEMAND, v1::URGENCY_PREFETCH}) {
    std::vector<v1::PageBatch> batches = Answer(urgency, 0, 8);
    ASSERT_THAT(batches, SizeIs(4));
    EXPECT_EQ(batches[1].encoding(), v1::ENCODING_ZERO);
    EXPECT_EQ(batches[1].page_count(), 2u);
    EXPECT_EQ(batches[2].error_code(),
              static_cast<int>(grpc::StatusCode::DATA_LOSS));
    EXPECT_EQ(batches[2].first_page(), 4u);
    EXPECT_EQ(batches[2].page_count(), 3u);
    EXPECT_EQ(batches[3].page_count(), 1u);
    EXPECT_EQ(batches[3].error_code(), 0);
  }
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
    absl::StatusOr<PageCount> Read(ImageRange,
                                   absl::Span<std::byte>) const override {
      return absl::DataLossError("no \xff\xfe file");
    }
    PagesCheck Check(ImageRange range) const override {
      return {range.count, absl::OkStatus()};
    }

   private:
    ImageDescription description_ = OneTaskImage(1, {PageId(0), PageCount(1)});
  };
  catalog_.Put(kName, std::make_shared<BadStore>());
  std::vector<v1::PageBatch> batches = Answer(v1::URGENCY_DEMAND, 0, 1);
  ASSERT_THAT(batches, SizeIs(1));
  EXPECT_EQ(batches[0].error_message(), "no \\377\\376 file");
}

TEST_F(PageServiceTest, WhoHasSpentItsShareWaitsOrIsRefused) {
  ClientLimits limits;
  limits.requests_per_second = 1e-3;
  PageService limited(catalog_, KeepWorkingSets::kNo, limits);
  server_ = nullptr;
  const TestServer server(dir_.Join("limited"), limited);
  stub_ = v1::PageServer::NewStub(
      NewPageChannel(TestServer::AddressOf(dir_.Join("limited"))));
  for (v1::Urgency urgency : {v1::URGENCY_DEMAND, v1::URGENCY_PREFETCH}) {
    std::unique_ptr<Call> call = OpenStarted(urgency);
    call->stream->Write(Fetch(1, 0, 1));
    v1::PageBatch batch;
    if (urgency == v1::URGENCY_DEMAND) {
      EXPECT_TRUE(call->stream->Read(&batch));
    }
    call->stream->Write(Fetch(2, 0, 1));
    // A stream that waits ends when its client does.
    call->context.TryCancel();
    EXPECT_FALSE(call->stream->Read(&batch));
  }
  grpc::ClientContext context;
  v1::ListImagesResponse response;
  const grpc::Status status = stub_->ListImages(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("more than it may have"));
}

TEST_F(PageServiceTest, WhatIsNotAskedForCostsNothing) {
  ClientLimits limits;
  limits.requests_per_second = 1e-3;
  PageService limited(catalog_, KeepWorkingSets::kNo, limits);
  const TestServer server(dir_.Join("limited"), limited);
  stub_ = v1::PageServer::NewStub(
      NewPageChannel(TestServer::AddressOf(dir_.Join("limited"))));
  std::unique_ptr<Call> call = OpenStarted(v1::URGENCY_DEMAND);
  call->stream->Write(Fetch(1, 0, 1));
  call->stream->WritesDone();
  EXPECT_THAT(ReadAll(*call), SizeIs(1));
  // It would end in a quarter of an hour.
  EXPECT_TRUE(call->stream->Finish().ok());
}

}  // namespace
}  // namespace pagelift
