#include "lib/transport/remote_working_set.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_service.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/testing/test_page_server.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kName[] = "redis";
constexpr PageCount kPages(4 << 20);
constexpr absl::Duration kLong = absl::Seconds(60);

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

Recording Of(ImageRange run) {
  Recording recording;
  recording.Append(run);
  return recording;
}

// An image without contents.
class EmptyStore : public PageStore {
 public:
  explicit EmptyStore(ImageDescription description)
      : description_(std::move(description)) {}
  const ImageDescription& description() const override { return description_; }
  absl::StatusOr<PageCount> Read(ImageRange,
                                 absl::Span<std::byte>) const override {
    return absl::DataLossError("no contents");
  }
  PagesCheck Check(ImageRange range) const override {
    return {range.count, {}};
  }

 private:
  const ImageDescription description_;
};

class RemoteWorkingSetTest : public ::testing::Test {
 protected:
  RemoteWorkingSetTest() {
    catalog_.Put(kName, std::make_shared<EmptyStore>(image_));
  }

  void Serve(KeepWorkingSets keep) {
    service_ = std::make_unique<PageService>(catalog_, keep);
    Serve(*service_);
  }
  void Serve(grpc::Service& service) {
    server_ = std::make_unique<TestServer>(socket_, service);
  }

  // Asked by the source, as a session does.
  void Open() {
    ASSERT_OK_AND_ASSIGN(
        source_,
        RemoteSource::Open(TestServer::AddressOf(socket_), kName, kLong));
  }

  // Whatever is there.
  RemoteWorkingSet Plain() {
    return RemoteWorkingSet(
        grpc::CreateChannel(TestServer::AddressOf(socket_),
                            grpc::InsecureChannelCredentials()),
        kName, image_.content_id, image_.page_count);
  }

  const ImageDescription image_ = OneTaskImage(1, {PageId(0), kPages});
  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  FakeCatalog catalog_;
  std::unique_ptr<PageService> service_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<RemoteSource> source_;
};

TEST_F(RemoteWorkingSetTest, ASourceKeepsRecordingsAndGetsTheirOrder) {
  Serve(KeepWorkingSets::kYes);
  Open();
  EXPECT_THAT(source_->WorkingSet(), StatusIs(absl::StatusCode::kNotFound,
                                              HasSubstr("no recording of")));
  EXPECT_OK(source_->KeepRecording(Of(Pages(10, 5))));
  EXPECT_OK(source_->KeepRecording(Of(Pages(12, 8))));
  ASSERT_OK_AND_ASSIGN(const Recording order, source_->WorkingSet());
  EXPECT_THAT(order.runs(), ElementsAre(Pages(12, 8), Pages(10, 2)));
}

TEST_F(RemoteWorkingSetTest, SummarisesAndDrops) {
  Serve(KeepWorkingSets::kYes);
  Open();
  EXPECT_OK(source_->KeepRecording(Of(Pages(10, 5))));
  EXPECT_OK(source_->KeepRecording(Of(Pages(12, 8))));
  ASSERT_OK_AND_ASSIGN(WorkingSetSummary summary,
                       source_->working_set().Summary());
  ASSERT_THAT(summary.recordings, SizeIs(2));
  EXPECT_EQ(summary.recordings[0].pages, PageCount(8));
  EXPECT_EQ(summary.shared, PageCount(3));
  EXPECT_OK(source_->working_set().Drop());
  ASSERT_OK_AND_ASSIGN(summary, source_->working_set().Summary());
  EXPECT_THAT(summary.recordings, SizeIs(0));
}

TEST_F(RemoteWorkingSetTest, TheLargestRecordingsPass) {
  Serve(KeepWorkingSets::kYes);
  Open();
  for (uint64_t offset : {0, 3}) {
    Recording recording;
    // Neighbours are far apart, and each run is one of its own.
    for (uint64_t i = 0; i < Recording::kMostRuns; ++i) {
      const uint64_t place = i % 2 == 0 ? i : Recording::kMostRuns - i;
      ASSERT_TRUE(recording.Append(Pages(place * 8 + offset, 2)));
    }
    EXPECT_OK(source_->KeepRecording(recording));
  }
  ASSERT_OK_AND_ASSIGN(const Recording order, source_->WorkingSet());
  EXPECT_EQ(order.page_count(), Recording::kMostPages);
}

TEST_F(RemoteWorkingSetTest, SaysWhyTheServerKeepsNothing) {
  Serve(KeepWorkingSets::kNo);
  Open();
  EXPECT_THAT(source_->KeepRecording(Of(Pages(1, 1))),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("without --keep-working-sets")));
  EXPECT_THAT(source_->working_set().Drop(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  server_.reset();
  EXPECT_THAT(source_->WorkingSet(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(RemoteWorkingSetTest, AnOlderServerIsNoSurprise) {
  v1::PageServer::Service older;
  Serve(older);
  EXPECT_THAT(Plain().Order(), StatusIs(absl::StatusCode::kUnimplemented,
                                        HasSubstr("older than this program")));
}

// Answers GetWorkingSet as the test says.
class HostileService : public v1::PageServer::Service {
 public:
  explicit HostileService(v1::GetWorkingSetResponse answer)
      : answer_(std::move(answer)) {}
  grpc::Status GetWorkingSet(grpc::ServerContext*,
                             const v1::GetWorkingSetRequest*,
                             v1::GetWorkingSetResponse* response) override {
    *response = answer_;
    return grpc::Status::OK;
  }

 private:
  const v1::GetWorkingSetResponse answer_;
};

TEST_F(RemoteWorkingSetTest, ChecksWhatAHostileServerSays) {
  v1::GetWorkingSetResponse answer;
  answer.mutable_order()->add_steps(kPages.raw());
  answer.mutable_order()->add_page_counts(1);
  for (int i = 0; i < 4; ++i) answer.add_recordings();
  HostileService service(answer);
  Serve(service);
  EXPECT_THAT(Plain().Order(), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("outside of an image")));
  EXPECT_THAT(Plain().Summary(), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("of 4 recordings")));
  server_.reset();  // Before the service.
}

}  // namespace
}  // namespace pagelift
