#include "lib/tls/client_hello.h"

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/tls/openssl.h"
#include "lib/tls/tls_session.h"

namespace pagelift {
namespace {

std::string HelloOf(TlsSession& session) {
  EXPECT_TRUE(session.Handshake().ok());
  return session.TakeOutput();
}

std::string OurHello() {
  const OpenSslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  return HelloOf(*TlsSession::Client(*context, "localhost"));
}

// That of a client which offers `protocols`, as in RFC 7301, or nothing.
std::string HelloThatOffers(const std::string& protocols) {
  const OpenSslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  const OpenSslPtr<SSL> ssl(SSL_new(context.get()));
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  if (!protocols.empty()) {
    CHECK(SSL_set_alpn_protos(
              ssl.get(),
              reinterpret_cast<const unsigned char*>(protocols.data()),
              static_cast<unsigned>(protocols.size())) == 0);
  }
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  char* bytes;
  const long size = BIO_get_mem_data(out, &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

TEST(ClientHelloTest, KnowsOurs) {
  EXPECT_EQ(JudgeClientHello(BytesOf(OurHello())), ClientHello::kSingleCall);
  EXPECT_EQ(
      JudgeClientHello(BytesOf(HelloThatOffers("\x02h2\x0epagelift-pages"))),
      ClientHello::kSingleCall);
}

TEST(ClientHelloTest, KnowsOthers) {
  for (const char* protocols :
       {"", "\x02h2", "\x0dpagelift-page", "\x0fpagelift-pages2",
        "\x0f\x0epagelift-pages"}) {
    EXPECT_EQ(JudgeClientHello(BytesOf(HelloThatOffers(protocols))),
              ClientHello::kOther)
        << protocols;
  }
}

TEST(ClientHelloTest, DecidesWhenAllOfItIsThere) {
  const std::string hello = OurHello();
  for (size_t i = 0; i < hello.size(); ++i) {
    EXPECT_EQ(JudgeClientHello(BytesOf(hello.substr(0, i))),
              ClientHello::kTooFew)
        << i;
  }
  EXPECT_EQ(JudgeClientHello(BytesOf(hello + "more")),
            ClientHello::kSingleCall);
}

TEST(ClientHelloTest, MayComeInSeveralRecords) {
  const std::string hello = OurHello();
  const std::string body = hello.substr(5);
  auto record = [](const std::string& part) {
    return std::string("\x16\x03\x01", 3) +
           static_cast<char>(part.size() >> 8) +
           static_cast<char>(part.size()) + part;
  };
  const std::string first = record(body.substr(0, 100));
  EXPECT_EQ(JudgeClientHello(BytesOf(first)), ClientHello::kTooFew);
  EXPECT_EQ(JudgeClientHello(BytesOf(first + record(body.substr(100)))),
            ClientHello::kSingleCall);
}

TEST(ClientHelloTest, KnowsWhatIsNoTls) {
  for (const char* text : {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "G", "\x80"}) {
    EXPECT_EQ(JudgeClientHello(BytesOf(text)), ClientHello::kNoTls);
  }
}

TEST(ClientHelloTest, WhatIsBrokenIsOfNoUse) {
  std::string broken = OurHello();
  broken[5] = 2;  // A ServerHello.
  EXPECT_EQ(JudgeClientHello(BytesOf(broken)), ClientHello::kUnusable);
  EXPECT_EQ(JudgeClientHello(BytesOf(OurHello().substr(0, 5) + "\x16")),
            ClientHello::kTooFew);
}

TEST(ClientHelloTest, WhatIsOldIsOfNoUse) {
  const OpenSslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  EXPECT_EQ(JudgeClientHello(
                BytesOf(HelloOf(*TlsSession::Client(*context, "localhost")))),
            ClientHello::kUnusable);
}

TEST(ClientHelloTest, DoesNotReadForEver) {
  // A handshake message that claims to be of 16 MiB, in records of 16 KiB.
  std::string endless("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9);
  endless.resize(5 + (16 << 10), 'x');
  while (endless.size() < kMostClientHelloBytes) {
    endless += std::string("\x16\x03\x01\x40\x00", 5) + std::string(1000, 'x');
  }
  endless.resize(kMostClientHelloBytes);
  EXPECT_EQ(JudgeClientHello(BytesOf(endless)), ClientHello::kUnusable);
}

}  // namespace
}  // namespace pagelift
