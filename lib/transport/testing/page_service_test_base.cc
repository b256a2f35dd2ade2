#include "lib/transport/testing/page_service_test_base.h"

#include <chrono>

#include "gmock/gmock.h"
#include "lib/transport/testing/checksum_of.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

}  // namespace

PageServiceTest::PageServiceTest() {
  catalog_.Put(kName, store_);
  server_ = std::make_unique<TestServer>(socket_, service_);
  stub_ = v1::PageServer::NewStub(grpc::CreateChannel(
      TestServer::AddressOf(socket_), grpc::InsecureChannelCredentials()));
}

v1::FetchRequest PageServiceTest::Start(v1::Urgency urgency) {
  return pagelift::Start(
      kName, OneTaskImage(1, {PageId(0), PageCount(1)}).content_id, urgency);
}

std::unique_ptr<PageServiceTest::Call> PageServiceTest::Open() {
  auto call = std::make_unique<Call>();
  // Nothing here takes long; a test that hangs should say where.
  call->context.set_deadline(std::chrono::system_clock::now() +
                             std::chrono::minutes(1));
  call->stream = stub_->FetchPages(&call->context);
  return call;
}

std::unique_ptr<PageServiceTest::Call> PageServiceTest::OpenStarted(
    v1::Urgency urgency) {
  std::unique_ptr<Call> call = Open();
  call->stream->Write(Start(urgency));
  return call;
}

std::vector<v1::PageBatch> PageServiceTest::ReadAll(Call& call) {
  std::vector<v1::PageBatch> batches;
  v1::PageBatch batch;
  while (call.stream->Read(&batch)) batches.push_back(batch);
  return batches;
}

grpc::Status PageServiceTest::StatusAfter(
    const std::vector<v1::FetchRequest>& requests) {
  std::unique_ptr<Call> call = Open();
  for (const v1::FetchRequest& request : requests) {
    call->stream->Write(request);
  }
  call->stream->WritesDone();
  ReadAll(*call);
  return call->stream->Finish();
}

std::vector<v1::PageBatch> PageServiceTest::Answer(v1::Urgency urgency,
                                                   uint64_t first,
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
    EXPECT_EQ(batch.checksum(), ChecksumOf(batch));
    if (batch.error_code() != 0 || batch.encoding() == v1::ENCODING_ZERO) {
      EXPECT_THAT(batch.pages(), IsEmpty());
      continue;
    }
    EXPECT_THAT(batch.pages(), SizeIs(batch.page_count() * kPageSize));
    for (uint64_t i = 0; i < batch.page_count(); ++i) {
      EXPECT_TRUE(HoldsPattern(batch.pages().data() + i * kPageSize,
                               ImagePage(batch.first_page() + i)));
    }
  }
  EXPECT_EQ(next, first + count);
  return batches;
}

}  // namespace pagelift
