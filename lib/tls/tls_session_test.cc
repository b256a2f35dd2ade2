#include "lib/tls/tls_session.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/tls/testing/test_authority.h"
#include "lib/tls/tls_credentials.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class TlsSessionTest : public ::testing::Test {
 protected:
  TlsSessionTest() {
    Issue(ours_, "the server", "server");
    Issue(ours_, "the client", "client");
  }

  void Issue(const TestAuthority& authority, const std::string& name,
             const std::string& directory, long seconds = 3600) {
    TestAuthority::Holder holder;
    holder.common_name = name;
    holder.seconds = seconds;
    authority.Issue(holder, dir_.Join(directory));
  }

  std::shared_ptr<SSL_CTX> Context(const std::string& directory,
                                   TlsCredentials::End end) {
    auto credentials = TlsCredentials::Load(dir_.Join(directory), end);
    EXPECT_OK(credentials);
    return (*credentials)->Current();
  }

  void Begin(const std::string& host = "localhost",
             uint64_t records_of_a_key = TlsSession::kRecordsOfAKey) {
    server_ =
        TlsSession::Server(*Context("server", TlsCredentials::End::kServer));
    client_ =
        TlsSession::Client(*Context("client", TlsCredentials::End::kClient),
                           host, records_of_a_key);
  }

  void CarryOver() {
    server_->Receive(BytesOf(client_->TakeOutput()));
    client_->Receive(BytesOf(server_->TakeOutput()));
  }

  // Of the client's handshake, and the server's.
  std::pair<absl::Status, absl::Status> Handshake() {
    absl::StatusOr<bool> client = false;
    absl::StatusOr<bool> server = false;
    for (int i = 0; i < 4; ++i) {
      if (client.ok()) client = client_->Handshake();
      CarryOver();
      if (server.ok()) server = server_->Handshake();
      CarryOver();
    }
    return {client.status(), server.status()};
  }

  static absl::StatusOr<std::string> ReadFrom(TlsSession& session,
                                              size_t most = 1 << 20) {
    std::string text(most, '\0');
    auto read = session.Read(
        absl::MakeSpan(reinterpret_cast<std::byte*>(&text[0]), text.size()));
    if (!read.ok()) return read.status();
    text.resize(*read);
    return text;
  }

  TempDir dir_;
  const TestAuthority ours_{"ours"};
  std::unique_ptr<TlsSession> server_;
  std::unique_ptr<TlsSession> client_;
};

TEST_F(TlsSessionTest, CarriesBytesBothWays) {
  Begin();
  ASSERT_OK(Handshake().first);
  EXPECT_THAT(server_->PeerNames(), Contains("CN:the client"));
  EXPECT_THAT(client_->PeerNames(), Contains("CN:the server"));
  const std::string text(100000, 'a');
  ASSERT_OK(client_->Write(BytesOf(text)));
  const std::string encrypted = client_->TakeOutput();
  EXPECT_THAT(encrypted, ::testing::Not(HasSubstr("aaaa")));
  server_->Receive(BytesOf(encrypted));
  EXPECT_THAT(ReadFrom(*server_, 30000), IsOkAndHolds(text.substr(0, 30000)));
  EXPECT_THAT(ReadFrom(*server_), IsOkAndHolds(text.substr(0, 70000)));
  EXPECT_THAT(ReadFrom(*server_), IsOkAndHolds(std::string()));
  EXPECT_FALSE(server_->has_closed());
  ASSERT_OK(server_->Write(BytesOf("b")));
  server_->Close();
  CarryOver();
  EXPECT_THAT(ReadFrom(*client_), IsOkAndHolds(std::string("b")));
  EXPECT_TRUE(client_->has_closed());
}

TEST_F(TlsSessionTest, WaitsForTheRestOfARecord) {
  Begin();
  ASSERT_OK(Handshake().first);
  ASSERT_OK(client_->Write(BytesOf("abc")));
  const std::string record = client_->TakeOutput();
  for (size_t i = 0; i < record.size(); ++i) {
    EXPECT_THAT(ReadFrom(*server_), IsOkAndHolds(std::string()));
    server_->Receive(BytesOf(record.substr(i, 1)));
  }
  EXPECT_THAT(ReadFrom(*server_), IsOkAndHolds(std::string("abc")));
}

TEST_F(TlsSessionTest, ABitThatFlipsIsNoticed) {
  Begin();
  ASSERT_OK(Handshake().first);
  ASSERT_OK(client_->Write(BytesOf("abc")));
  std::string record = client_->TakeOutput();
  record[record.size() - 1] = static_cast<char>(record[record.size() - 1] ^ 1);
  server_->Receive(BytesOf(record));
  EXPECT_THAT(ReadFrom(*server_), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(TlsSessionTest, KeysAreChangedBeforeTheyWearOut) {
  Begin("localhost", /*records_of_a_key=*/3);
  ASSERT_OK(Handshake().first);
  for (int i = 0; i < 10; ++i) {
    const std::string text = "message " + std::to_string(i);
    ASSERT_OK(client_->Write(BytesOf(text)));
    const std::string output = client_->TakeOutput();
    // The message that the keys change has a record of its own.
    EXPECT_EQ(output.size() > 50, i > 0 && i % 3 == 0) << output.size();
    server_->Receive(BytesOf(output));
    EXPECT_THAT(ReadFrom(*server_), IsOkAndHolds(text));
  }
}

TEST_F(TlsSessionTest, AServerOfAnotherNameIsRefused) {
  Begin("other.example");
  EXPECT_THAT(Handshake().first, StatusIs(absl::StatusCode::kUnauthenticated,
                                          HasSubstr("not for other.example")));
  Begin("10.0.0.1");
  EXPECT_THAT(Handshake().first, StatusIs(absl::StatusCode::kUnauthenticated,
                                          HasSubstr("10.0.0.1")));
  Begin("127.0.0.1");
  EXPECT_OK(Handshake().first);
}

TEST_F(TlsSessionTest, AnotherAuthoritysServerIsRefused) {
  Issue(TestAuthority("theirs"), "the server", "server");
  Begin();
  const auto [client, server] = Handshake();
  EXPECT_THAT(client, StatusIs(absl::StatusCode::kUnauthenticated,
                               HasSubstr("is not accepted")));
  EXPECT_THAT(server, StatusIs(absl::StatusCode::kUnauthenticated,
                               HasSubstr("does not accept us")));
}

TEST_F(TlsSessionTest, AClientThatIsNotCertifiedIsRefusedAndLearnsIt) {
  // It believes in the server's authority all the same.
  Issue(TestAuthority("theirs"), "the client", "client");
  ours_.Issue({"x"}, dir_.Join("x"));
  std::filesystem::copy_file(dir_.Join("x") + "/ca.crt",
                             dir_.Join("client") + "/ca.crt",
                             std::filesystem::copy_options::overwrite_existing);
  Begin();
  const auto [client, server] = Handshake();
  EXPECT_THAT(server, StatusIs(absl::StatusCode::kUnauthenticated,
                               HasSubstr("is not accepted")));
  // Its handshake was done before the server judged.
  EXPECT_OK(client);
  EXPECT_THAT(ReadFrom(*client_), StatusIs(absl::StatusCode::kUnauthenticated,
                                           HasSubstr("does not accept us")));
}

TEST_F(TlsSessionTest, ACertificateThatHasExpiredIsRefused) {
  Issue(ours_, "the client", "client", /*seconds=*/-60);
  Begin();
  EXPECT_THAT(Handshake().second, StatusIs(absl::StatusCode::kUnauthenticated,
                                           HasSubstr("expired")));
}

TEST_F(TlsSessionTest, AClientWithoutACertificateIsRefused) {
  Begin();
  const std::shared_ptr<SSL_CTX> bare(SSL_CTX_new(TLS_client_method()),
                                      OpenSslDeleter());
  client_ = TlsSession::Client(*bare, "localhost");
  EXPECT_THAT(Handshake().second, StatusIs(absl::StatusCode::kUnauthenticated,
                                           HasSubstr("no certificate")));
}

TEST_F(TlsSessionTest, WhatIsNoTlsIsSaidToBeNone) {
  Begin();
  client_->Receive(BytesOf("HTTP/1.1 400 Bad Request\r\n\r\n"));
  ASSERT_THAT(client_->Handshake(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("TLS: ")));
}

}  // namespace
}  // namespace pagelift
