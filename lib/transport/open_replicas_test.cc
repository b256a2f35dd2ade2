#include "lib/transport/open_replicas.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_service.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kPages = 2048;
constexpr char kName[] = "redis";
constexpr size_t kServers = 2;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

// Page servers that have the same image, and the last one none.
class OpenReplicasTest : public ::testing::Test {
 protected:
  OpenReplicasTest() {
    for (size_t i = 0; i <= kServers; ++i) {
      addresses_.push_back(TestServer::AddressOf(Socket(i)));
      if (i < kServers) Put(i, image_);
      services_.push_back(std::make_unique<PageService>(catalogs_[i]));
      servers_.emplace_back();
      StartServer(i);
    }
  }
  ~OpenReplicasTest() override {
    if (source_ != nullptr) source_->Stop();
  }

  std::string Socket(size_t i) const { return dir_.Join(std::to_string(i)); }
  void Put(size_t i, const ImageDescription& image) {
    catalogs_[i].Put(kName, std::make_shared<FakePageStore>(image));
  }
  void StartServer(size_t i) {
    servers_[i] = std::make_unique<TestServer>(Socket(i), *services_[i]);
  }
  absl::Status Open(absl::Duration deadline = absl::Seconds(30)) {
    absl::StatusOr<std::unique_ptr<PageSource>> source =
        OpenReplicas(addresses_, kName, deadline, Compression::kAuto);
    if (source.ok()) source_ = *std::move(source);
    return source.status();
  }
  void Start() {
    ASSERT_OK(Open());
    source_->Start(&sink_);
  }
  void Fetch(uint64_t first, uint64_t count) {
    source_->Fetch(Pages(first, count), Urgency::kPrefetch);
    source_->Fetch(Pages(first + count, 1), Urgency::kDemand);
    pages_ += count + 1;
  }

  const ImageDescription image_ =
      OneTaskImage(1, {PageId(0), PageCount(kPages)});
  TempDir dir_;
  FakeCatalog catalogs_[kServers + 1];
  std::vector<std::unique_ptr<PageService>> services_;
  std::vector<std::unique_ptr<TestServer>> servers_;
  std::vector<Endpoint> addresses_;
  WaitingSink sink_;
  std::unique_ptr<PageSource> source_;
  size_t pages_ = 0;
};

TEST_F(OpenReplicasTest, OneThatDiesIsReplacedByTheNextAndBackAgain) {
  Start();
  Fetch(0, 100);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  servers_[0].reset();
  Fetch(200, 500);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  EXPECT_THAT(source_->trouble(), HasSubstr(addresses_[0].address));
  EXPECT_EQ(source_->replica_counts().failovers, 1u);
  StartServer(0);
  ASSERT_TRUE(Eventually([this] {
    return source_->trouble().find(addresses_[0].address) == std::string::npos;
  }));
  servers_[1].reset();
  Fetch(1000, 500);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  EXPECT_EQ(source_->replica_counts().failovers, 2u);
  ExpectPattern(sink_, Pages(0, 101));
  ExpectPattern(sink_, Pages(200, 501));
  ExpectPattern(sink_, Pages(1000, 501));
}

TEST_F(OpenReplicasTest, OneThatIsNotThereYetIsLetInLater) {
  servers_[0].reset();
  Start();
  EXPECT_THAT(source_->trouble(), HasSubstr(addresses_[0].address));
  Fetch(0, 10);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  StartServer(0);
  ASSERT_TRUE(Eventually([this] {
    return source_->trouble().find(addresses_[0].address) == std::string::npos;
  }));
  servers_[1].reset();
  Fetch(100, 10);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  ExpectPattern(sink_, Pages(100, 11));
}

TEST_F(OpenReplicasTest, OneThatLaterHasAnotherCheckpointIsNeverUsed) {
  servers_[1].reset();
  Start();
  ImageDescription other = image_;
  other.content_id = "another";
  Put(1, other);
  StartServer(1);
  ASSERT_TRUE(Eventually([this] {
    return source_->trouble().find("another") != std::string::npos;
  })) << source_->trouble();
  servers_[0].reset();
  Fetch(0, 10);
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_THAT(sink_.answers(), IsEmpty());
  StartServer(0);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
  ExpectPattern(sink_, Pages(0, 11));
}

TEST_F(OpenReplicasTest, AnotherCheckpointIsRefusedAtOnce) {
  ImageDescription other = image_;
  other.content_id = "another";
  Put(1, other);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr("another checkpoint at"),
                                     HasSubstr(addresses_[0].address),
                                     HasSubstr(addresses_[1].address))));
}

TEST_F(OpenReplicasTest, OneThatIsSlowIsWaitedForIfNobodyElseHasIt) {
  servers_[0].reset();
  servers_[1].reset();
  // There, and says nothing. It takes its name along when it goes.
  ASSERT_OK_AND_ASSIGN(const Listener silent,
                       Listener::ListenOn(addresses_[0].address));
  std::thread opening([this] { EXPECT_OK(Open()); });
  absl::SleepFor(absl::Milliseconds(1300));
  EXPECT_EQ(source_, nullptr);
  unlink(Socket(0).c_str());
  StartServer(0);
  opening.join();
  ASSERT_NE(source_, nullptr);
  source_->Start(&sink_);
  Fetch(0, 10);
  ASSERT_TRUE(sink_.WaitForPages(pages_));
}

TEST_F(OpenReplicasTest, SaysWhyWhenNobodyHasIt) {
  servers_[0].reset();
  servers_[1].reset();
  // Rather than that others cannot be reached.
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(kName)));
  servers_[2].reset();
  EXPECT_THAT(Open(absl::Seconds(2)),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(addresses_[0].address),
                             HasSubstr(addresses_[2].address))));
}

}  // namespace
}  // namespace pagelift
