#include "lib/tls/client_hello.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
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

// Called when OpenSSL has the whole ClientHello; it goes no further.
int NoteProtocols(SSL* ssl, int*, void* result) {
  const uint8_t* list = nullptr;
  size_t size = 0;
  const bool ours = SSL_client_hello_get0_ext(
                        ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                        &list, &size) == 1 &&
                    OffersOurs(list, size);
  *static_cast<ClientHello*>(result) =
      ours ? ClientHello::kSingleCall : ClientHello::kOther;
  return SSL_CLIENT_HELLO_RETRY;
}

ClientHello AskOpenSsl(ByteSpan bytes) {
  ClientHello result = ClientHello::kTooFew;
  ERR_clear_error();
  const OpenSslPtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  CHECK(context != nullptr) << TakeOpenSslError();
  SSL_CTX_set_client_hello_cb(context.get(), NoteProtocols, &result);
  const OpenSslPtr<SSL> ssl(SSL_new(context.get()));
  CHECK(ssl != nullptr) << TakeOpenSslError();
  BIO* const in = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, BIO_new(BIO_s_mem()));
  BIO_write(in, bytes.data(), static_cast<int>(bytes.size()));
  SSL_set_accept_state(ssl.get());
  const int handshake = SSL_do_handshake(ssl.get());
  if (result == ClientHello::kTooFew &&
      SSL_get_error(ssl.get(), handshake) != SSL_ERROR_WANT_READ) {
    // Looks like TLS, but is broken: who has it says so.
    result = ClientHello::kOther;
  }
  ERR_clear_error();
  return result;
}

}  // namespace

ClientHello JudgeClientHello(ByteSpan bytes) {
  if (bytes.empty()) return ClientHello::kTooFew;
  if (bytes[0] != kHandshakeRecord) return ClientHello::kNoTls;
  if (bytes.size() >= kMostClientHelloBytes) return ClientHello::kOther;
  // OpenSSL begins anew each time: not before the first record is whole, which
  // it mostly is at once, and nearly always the only one.
  if (bytes.size() < kRecordHeader) return ClientHello::kTooFew;
  const size_t size =
      (static_cast<size_t>(bytes[3]) << 8) | static_cast<size_t>(bytes[4]);
  if (bytes.size() < std::min(kRecordHeader + size, kMostClientHelloBytes)) {
    return ClientHello::kTooFew;
  }
  return AskOpenSsl(bytes);
}

}  // namespace pagelift
