#include "lib/tls/client_hello.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "lib/base/log.h"
#include "lib/tls/openssl.h"
#include "lib/tls/tls_session.h"

namespace pagelift {
namespace {

// RFC 8446, sections 5.1 and 4: a record has five bytes before it, and the
// first is one of handshakes.
constexpr size_t kRecordHeader = 5;
constexpr std::byte kHandshakeRecord{22};
// A type, and three bytes for the length.
constexpr size_t kHandshakeHeader = 4;

// Whether the ALPN extension `list` (RFC 7301, section 3.1) has our protocol.
bool OffersOurs(const uint8_t* list, size_t size) {
  const absl::string_view wanted = kSingleCallProtocol;
  // Two bytes for the length of all; then each has its length before it.
  for (size_t i = 2; i < size; i += 1u + list[i]) {
    if (list[i] > size - i - 1) return false;
    if (absl::string_view(reinterpret_cast<const char*>(list) + i + 1,
                          list[i]) == wanted) {
      return true;
    }
  }
  return false;
}

// Whether the extension `list` (RFC 8446, section 4.2.1) has TLS 1.3.
bool Speaks13(const uint8_t* list, size_t size) {
  // A byte for the length of all.
  for (size_t i = 1; i + 1 < size; i += 2) {
    if (list[i] == 3 && list[i + 1] == 4) return true;
  }
  return false;
}

// Called when OpenSSL has the whole ClientHello; it goes no further.
int NoteOffers(SSL* ssl, int*, void*) {
  auto* const result = static_cast<ClientHello*>(SSL_get_app_data(ssl));
  const uint8_t* list = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &list,
                                &size) != 1 ||
      !Speaks13(list, size)) {
    *result = ClientHello::kUnusable;
  } else if (SSL_client_hello_get0_ext(
                 ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &list,
                 &size) == 1 &&
             OffersOurs(list, size)) {
    *result = ClientHello::kSingleCall;
  } else {
    *result = ClientHello::kOther;
  }
  return SSL_CLIENT_HELLO_RETRY;
}

// Shared by all: to make one takes longer than all the rest.
SSL_CTX* AskingContext() {
  static SSL_CTX* const context = [] {
    SSL_CTX* const made = SSL_CTX_new(TLS_server_method());
    CHECK(made != nullptr) << TakeOpenSslError();
    SSL_CTX_set_client_hello_cb(made, NoteOffers, nullptr);
    return made;
  }();
  return context;
}

ClientHello AskOpenSsl(ByteSpan bytes) {
  // Unless it is understood.
  ClientHello result = ClientHello::kUnusable;
  ERR_clear_error();
  const OpenSslPtr<SSL> ssl(SSL_new(AskingContext()));
  CHECK(ssl != nullptr) << TakeOpenSslError();
  SSL_set_app_data(ssl.get(), &result);
  BIO* const in = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_mem()));
  BIO_write(in, bytes.data(), static_cast<int>(bytes.size()));
  SSL_set_accept_state(ssl.get());
  SSL_do_handshake(ssl.get());
  ERR_clear_error();
  return result;
}

// Whether the whole message is there. It may be in several records, and is
// looked at by OpenSSL but once.
bool IsWhole(ByteSpan bytes) {
  size_t wanted = kHandshakeHeader;
  size_t have = 0;
  std::array<size_t, kHandshakeHeader> header = {};
  while (bytes.size() >= kRecordHeader && bytes[0] == kHandshakeRecord) {
    const size_t size = (std::to_integer<size_t>(bytes[3]) << 8) |
                        std::to_integer<size_t>(bytes[4]);
    bytes.remove_prefix(kRecordHeader);
    if (bytes.size() < size) return false;
    for (size_t i = 0; i < size && have + i < header.size(); ++i) {
      header[have + i] = std::to_integer<size_t>(bytes[i]);
    }
    have += size;
    bytes.remove_prefix(size);
    if (have >= header.size()) {
      wanted = header.size() + (header[1] << 16 | header[2] << 8 | header[3]);
    }
    if (have >= wanted) return true;
  }
  // What is no record of a handshake is for OpenSSL to find.
  return bytes.size() >= kRecordHeader;
}

}  // namespace

ClientHello JudgeClientHello(ByteSpan bytes) {
  if (bytes.empty()) return ClientHello::kTooFew;
  if (bytes[0] != kHandshakeRecord) return ClientHello::kNoTls;
  if (IsWhole(bytes)) return AskOpenSsl(bytes);
  return bytes.size() < kMostClientHelloBytes ? ClientHello::kTooFew
                                              : ClientHello::kUnusable;
}

}  // namespace pagelift
