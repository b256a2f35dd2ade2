// The receiver's service and the source's client of it, over a real connection.

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/migration/incoming/incoming_migrations.h"
#include "daemon/migration/incoming/migration_service.h"
#include "daemon/migration/wire/migration_client.h"
#include "daemon/migration/wire/shipped_images.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

constexpr char kId[] = "0123456789abcdef0123456789abcdef";

// All goes well; what was asked for is noted.
class FakeWork : public RestoreWork {
 public:
  explicit FakeWork(std::string* page_server) : page_server_(page_server) {}
  absl::Status GetReady() override { return absl::OkStatus(); }
  absl::Status Expect(const v1::RestoreRequest& request) override {
    *page_server_ = absl::StrCat("expected ", request.page_server());
    return absl::OkStatus();
  }
  absl::Status Restore(const v1::RestoreRequest& request,
                       const std::atomic<bool>& /*is_cancelled*/) override {
    *page_server_ = request.page_server();
    found_ = RestoreFound::kHeld;
    return absl::OkStatus();
  }
  absl::Status LetGo() override {
    found_ = RestoreFound::kRuns;
    return absl::OkStatus();
  }
  absl::StatusOr<RestoreFound> Look() override { return found_.load(); }
  absl::Status CleanUp() override {
    found_ = RestoreFound::kNothing;
    return absl::OkStatus();
  }
  absl::Status Forget() override { return absl::OkStatus(); }
  bool MayBeLost() override { return false; }
  void Describe(v1::GetMigrationResponse* response) override {
    response->set_session_state("draining");
  }

 private:
  std::string* const page_server_;
  std::atomic<RestoreFound> found_{RestoreFound::kNothing};
};

class MigrationWireTest : public ::testing::Test {
 protected:
  MigrationWireTest() {
    mkdir(images_.c_str(), 0700);
    Image("inventory.img", "inventory");
    Image("pages-1.img", std::string(3 << 20, 'x'));
    Image("empty.img", "");
    std::ofstream(images_ + "/dump.log") << "not to be shipped";
    StartServer();
  }

  void Image(const std::string& name, const std::string& contents) {
    std::ofstream(images_ + "/" + name) << contents;
  }
  void StartServer() {
    auto migrations = IncomingMigrations::Open(
        dir_.Join("incoming"), [this](const std::string&) {
          return std::make_unique<FakeWork>(&page_server_);
        });
    ASSERT_OK(migrations.status());
    migrations_ = *std::move(migrations);
    service_ = std::make_unique<MigrationService>(*migrations_,
                                                  MigrationService::Options());
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void StopServer() {
    server_->Shutdown(absl::ToChronoTime(absl::Now()));
    server_.reset();
    service_.reset();
    migrations_.reset();
  }
  absl::Status Prepare() {
    return client_.Prepare(v1::PrepareRequest(), kSoon).status();
  }
  absl::Status Ship() {
    return client_.ShipImages(
        [this] { return PartsOfImages(WhatToRestore(), images_); }, kSoon);
  }
  static v1::RestoreRequest WhatToRestore() {
    v1::RestoreRequest request;
    request.set_id(kId);
    request.set_page_server("10.0.0.1:4711");
    request.set_image(kId);
    return request;
  }
  absl::Status Restore() { return client_.Restore(WhatToRestore(), kSoon); }
  std::string Shipped(const std::string& name) {
    std::stringstream contents;
    contents << std::ifstream(absl::StrCat(dir_.path(), "/incoming/", kId,
                                           "/images/", name))
                    .rdbuf();
    return contents.str();
  }

  TempDir dir_;
  const std::string images_ = dir_.Join("images");
  const std::string address_ = "unix:" + dir_.Join("socket");
  std::string page_server_;
  std::unique_ptr<IncomingMigrations> migrations_;
  std::unique_ptr<MigrationService> service_;
  std::unique_ptr<grpc::Server> server_;
  MigrationClient client_{Endpoint(address_), kId};
};

// Nothing is found to be in the way: neither side has a criu that it names.
TEST_F(MigrationWireTest, ADestinationWithoutCriuSaysSo) {
  EXPECT_THAT(Prepare(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  HasSubstr("criu")));
  v1::PrepareRequest request;
  request.set_dry_run(true);
  ASSERT_OK_AND_ASSIGN(const v1::PrepareResponse response,
                       client_.Prepare(request, kSoon));
  EXPECT_THAT(response.obstacles(0), HasSubstr("criu"));
  EXPECT_THAT(client_.GetMigration().status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(MigrationWireTest, OneThatWasNeverHeardOfCanBeAborted) {
  EXPECT_OK(client_.Abort("changed his mind", kSoon));
  ASSERT_OK_AND_ASSIGN(const v1::GetMigrationResponse told,
                       client_.GetMigration());
  EXPECT_EQ(told.state(), "aborted");
  EXPECT_THAT(Ship(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Restore(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

class PreparedWireTest : public MigrationWireTest {
 protected:
  PreparedWireTest() {
    // As Prepare() does on a host that has all that is needed.
    auto migration = migrations_->FindOrMake(kId);
    EXPECT_OK(migration.status());
    EXPECT_OK((*migration)->Prepare([] { return false; }));
  }
};

TEST_F(PreparedWireTest, AllTheWay) {
  ASSERT_OK(Ship());
  EXPECT_EQ(Shipped("inventory.img"), "inventory");
  EXPECT_EQ(Shipped("pages-1.img"), std::string(3 << 20, 'x'));
  EXPECT_EQ(Shipped("empty.img"), "");
  EXPECT_EQ(Shipped("dump.log"), "");
  ASSERT_OK(Restore());
  EXPECT_EQ(page_server_, "10.0.0.1:4711");
  ASSERT_OK(client_.Commit(kSoon));
  EXPECT_TRUE(Eventually([this] {
    const auto told = client_.GetMigration();
    return told.ok() && told->state() == "running" &&
           told->session_state() == "draining";
  }));
  ASSERT_OK(client_.Release(kSoon));
}

TEST_F(PreparedWireTest, WhatIsShippedAgainReplacesWhatWas) {
  ASSERT_OK(Ship());
  Image("inventory.img", "another");
  ASSERT_OK(Ship());
  EXPECT_EQ(Shipped("inventory.img"), "another");
}

TEST_F(PreparedWireTest, WhatChangesWhileItIsShippedIsNotTaken) {
  ASSERT_OK_AND_ASSIGN(const MigrationClient::NextPart next,
                       PartsOfImages(WhatToRestore(), images_));
  Image("inventory.img", "changed!!");
  EXPECT_THAT(client_.ShipImages(
                  [&next]() -> absl::StatusOr<MigrationClient::NextPart> {
                    return next;
                  },
                  kSoon),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Shipped("inventory.img"), "");
}

TEST_F(PreparedWireTest, AReceiverThatComesBackIsAskedAgain) {
  ASSERT_OK(Ship());
  StopServer();
  std::thread back([this] { StartServer(); });
  EXPECT_OK(Restore());
  back.join();
}

TEST_F(PreparedWireTest, OneThatDoesNotIsGivenUp) {
  StopServer();
  EXPECT_THAT(client_.Commit(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("--accept-migrations")));
}

TEST_F(PreparedWireTest, WhoWaitsCanBeBrokenOff) {
  StopServer();
  std::atomic<bool> ended{false};
  std::thread waiting([&] {
    EXPECT_THAT(client_.Commit(absl::InfiniteDuration()),
                StatusIs(absl::StatusCode::kCancelled));
    ended = true;
  });
  while (!ended) {
    client_.Cancel();
    std::this_thread::yield();
  }
  waiting.join();
}

TEST_F(PreparedWireTest, WhatIsNoPartOfAUrlIsRefused) {
  ASSERT_OK(Ship());
  v1::RestoreRequest request;
  request.set_page_server("10.0.0.1:4711");
  request.set_image("../x?tls=/elsewhere");
  EXPECT_THAT(client_.Restore(request, kSoon),
              StatusIs(absl::StatusCode::kInvalidArgument));
  request.set_image(kId);
  request.set_page_server("10.0.0.1:1/x?y:4711");
  EXPECT_THAT(client_.Restore(request, kSoon),
              StatusIs(absl::StatusCode::kInvalidArgument));
  request.set_page_server("10.0.0.1");
  EXPECT_THAT(client_.Restore(request, kSoon),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(PreparedWireTest, AnIdIsNotAPath) {
  MigrationClient client{Endpoint(address_), "../../etc"};
  EXPECT_THAT(client.Commit(kSoon),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(client.Abort("", kSoon),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace pagelift
