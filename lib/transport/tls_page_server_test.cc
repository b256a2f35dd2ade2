// A page server over TLS and its clients: both kinds of connections.

#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/status_macros.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/tls/testing/test_authority.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/access_policy.h"
#include "lib/transport/channel.h"
#include "lib/transport/door_server.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/fetch_call.h"
#include "lib/transport/image_access.h"
#include "lib/transport/page_service.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/testing/fetch_requests.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kPages = 1024;
constexpr char kName[] = "web/1";

class TlsPageServerTest : public ::testing::Test {
 protected:
  TlsPageServerTest() {
    catalog_.Put(kName, std::make_shared<FakePageStore>(
                            OneTaskImage(1, {PageId(0), PageCount(kPages)})));
    catalog_.Put("db/1", std::make_shared<FakePageStore>(
                             OneTaskImage(1, {PageId(0), PageCount(4)})));
    Issue(ours_, "server", "server");
    Issue(ours_, "web", "client");
    SetPolicy("allow CN:web web/*\n");
    policy_ = *LoadAccessPolicy(dir_.Join("policy"));
    service_ =
        std::make_unique<PageService>(ImageAccess(catalog_, policy_.get()));
    grpc::ServerBuilder builder;
    auto server =
        DoorServer::Start("127.0.0.1:0", *service_, builder,
                          *TlsCredentials::Load(dir_.Join("server"),
                                                TlsCredentials::End::kServer));
    EXPECT_OK(server);
    server_ = *std::move(server);
  }

  void Issue(const TestAuthority& authority, const std::string& name,
             const std::string& directory) {
    TestAuthority::Holder holder;
    holder.common_name = name;
    authority.Issue(holder, dir_.Join(directory));
  }

  void SetPolicy(const std::string& text) {
    std::ofstream(dir_.Join("new")) << text;
    std::filesystem::rename(dir_.Join("new"), dir_.Join("policy"));
  }

  Endpoint As(const std::string& directory,
              const std::string& server_name = "") {
    auto credentials = TlsCredentials::Load(dir_.Join(directory),
                                            TlsCredentials::End::kClient);
    EXPECT_OK(credentials);
    return Endpoint(server_->address(), *credentials, server_name);
  }

  absl::StatusOr<std::unique_ptr<RemoteSource>> Open(
      const Endpoint& endpoint, const std::string& name = kName) {
    return RemoteSource::Open(endpoint, name, absl::Seconds(30));
  }

  // How a stream of pages ends that is opened past gRPC.
  absl::Status StreamOf(const Endpoint& endpoint, const std::string& name) {
    FetchCall call(endpoint);
    RETURN_IF_ERROR(call.Open(
        Start(name, OneTaskImage(1, {PageId(0), PageCount(1)}).content_id,
              v1::URGENCY_DEMAND)
            .SerializeAsString()));
    if (call.WaitForAcceptance()) return absl::OkStatus();
    return call.end();
  }

  TempDir dir_;
  const TestAuthority ours_{"ours"};
  FakeCatalog catalog_;
  std::unique_ptr<AccessPolicyFile> policy_;
  std::unique_ptr<PageService> service_;
  std::unique_ptr<DoorServer> server_;
};

TEST_F(TlsPageServerTest, AllPagesArrive) {
  ASSERT_OK_AND_ASSIGN(auto source, Open(As("client")));
  WaitingSink sink;
  source->Start(&sink);
  source->Fetch({ImagePage(0), PageCount(kPages - 50)}, Urgency::kPrefetch);
  for (uint64_t i = 1; i <= 50; ++i) {
    source->Fetch({ImagePage(kPages - i), PageCount(1)}, Urgency::kDemand);
  }
  EXPECT_TRUE(sink.WaitForPages(kPages));
  ExpectPattern(sink, {ImagePage(0), PageCount(kPages)});
  source->Stop();
}

TEST_F(TlsPageServerTest, OneWithoutPermissionIsToldSoOnBothConnections) {
  for (const absl::Status& status :
       {Open(As("client"), "db/1").status(), StreamOf(As("client"), "db/1")}) {
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kPermissionDenied,
                         HasSubstr("CN:web may not open image \"db/1\"")));
  }
  EXPECT_THAT(Open(As("client"), "db/none"),
              StatusIs(absl::StatusCode::kPermissionDenied));
  SetPolicy("allow CN:web *\n");
  EXPECT_OK(Open(As("client"), "db/1"));
}

TEST_F(TlsPageServerTest, ListsWhatTheClientMayOpen) {
  const auto stub = v1::PageServer::NewStub(NewPageChannel(As("client")));
  grpc::ClientContext context;
  v1::ListImagesResponse response;
  ASSERT_TRUE(stub->ListImages(&context, {}, &response).ok());
  ASSERT_EQ(response.images_size(), 1);
  EXPECT_EQ(response.images(0).name(), kName);
}

TEST_F(TlsPageServerTest, AWrongCertificateIsToldSoOnBothConnections) {
  Issue(TestAuthority("theirs"), "web", "wrong");
  std::filesystem::copy_file(dir_.Join("client/ca.crt"),
                             dir_.Join("wrong/ca.crt"),
                             std::filesystem::copy_options::overwrite_existing);
  for (const absl::Status& status :
       {Open(As("wrong")).status(), StreamOf(As("wrong"), kName)}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnauthenticated,
                                 HasSubstr("does not accept us")));
  }
}

TEST_F(TlsPageServerTest, AServerThatIsNotCertifiedIsNotBelieved) {
  Issue(TestAuthority("theirs"), "web", "other");
  for (const absl::Status& status :
       {Open(As("other")).status(), StreamOf(As("other"), kName)}) {
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kUnauthenticated,
                         AllOf(HasSubstr(server_->address()),
                               HasSubstr("certificate is not accepted"))));
  }
}

TEST_F(TlsPageServerTest, AServerOfAnotherNameIsNotBelieved) {
  for (const absl::Status& status :
       {Open(As("client", "pages.example")).status(),
        StreamOf(As("client", "pages.example"), kName)}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnauthenticated,
                                 HasSubstr("not for pages.example")));
  }
  EXPECT_OK(Open(As("client", "localhost")));
}

TEST_F(TlsPageServerTest, PlainTextIsRefusedAndSoIsTlsWithoutIt) {
  EXPECT_THAT(Open(Endpoint(server_->address())),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("does it want grpcs://?")));
  EXPECT_THAT(StreamOf(Endpoint(server_->address()), kName),
              StatusIs(absl::StatusCode::kUnavailable));
  grpc::ServerBuilder builder;
  PageService service{ImageAccess(catalog_)};
  ASSERT_OK_AND_ASSIGN(auto plain,
                       DoorServer::Start("127.0.0.1:0", service, builder));
  Endpoint endpoint = As("client");
  endpoint.address = plain->address();
  EXPECT_THAT(Open(endpoint), StatusIs(absl::StatusCode::kUnavailable,
                                       HasSubstr("does it have --tls?")));
  EXPECT_THAT(StreamOf(endpoint, kName),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("closed the connection")));
}

TEST_F(TlsPageServerTest, CertificatesAreRenewedUnderStreamsThatRun) {
  ASSERT_OK_AND_ASSIGN(auto source, Open(As("client")));
  WaitingSink sink;
  source->Start(&sink);
  source->Fetch({ImagePage(0), PageCount(1)}, Urgency::kDemand);
  sink.WaitForPages(1);
  const TestAuthority next("next");
  Issue(next, "server", "server");
  Issue(next, "web", "next");
  // Those that run go on; what is new is certified by the next authority.
  source->Fetch({ImagePage(1), PageCount(1)}, Urgency::kDemand);
  sink.WaitForPages(2);
  EXPECT_OK(StreamOf(As("next"), kName));
  EXPECT_THAT(StreamOf(As("client"), kName),
              StatusIs(absl::StatusCode::kUnauthenticated));
  // gRPC looks once a second.
  EXPECT_TRUE(Eventually([this] { return Open(As("next")).ok(); }));
  EXPECT_EQ(source->reconnects(), 0u);
  source->Stop();
}

TEST_F(TlsPageServerTest, ARenewedCertificateOfTheClientIsUsedByItsStreams) {
  const Endpoint endpoint = As("client");
  ASSERT_OK_AND_ASSIGN(auto source, Open(endpoint));
  WaitingSink sink;
  source->Start(&sink);
  source->Fetch({ImagePage(0), PageCount(1)}, Urgency::kDemand);
  sink.WaitForPages(1);
  Issue(ours_, "somebody else", "client");
  // The same endpoint, a new connection.
  EXPECT_THAT(StreamOf(endpoint, kName),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("CN:somebody else")));
  source->Stop();
}

TEST_F(TlsPageServerTest, OneThatDawdlesHoldsUpNobody) {
  std::vector<UniqueFd> dawdlers;
  for (const char* bytes : {"", "\x16", "\x16\x03\x01\x02"}) {
    ASSERT_OK_AND_ASSIGN(
        UniqueFd socket,
        ConnectTo(server_->address(), absl::Seconds(30), /*cancel=*/-1));
    ASSERT_GE(send(socket.get(), bytes, std::strlen(bytes), 0), 0);
    dawdlers.push_back(std::move(socket));
  }
  EXPECT_OK(StreamOf(As("client"), kName));
  EXPECT_OK(Open(As("client")));
}

}  // namespace
}  // namespace pagelift
