#ifndef PAGELIFT_LIB_TLS_TLS_SESSION_H_
#define PAGELIFT_LIB_TLS_TLS_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/tls/openssl.h"

namespace pagelift {

// By which a client says within its TLS handshake (ALPN, RFC 7301) that the
// connection carries one FetchPages call and nothing else; kSingleCallSetting
// says the same where there is no TLS. Servers that do not know it take the
// other protocol that is offered, "h2".
constexpr char kSingleCallProtocol[] = "pagelift-pages";

// A TLS connection without its socket: what came in is given to Receive(), what
// is to go out is taken by TakeOutput().
//
// Both ends show a certificate. Thread-compatible.
class TlsSession {
 public:
  // What one record holds at most (RFC 8446, section 5.1).
  static constexpr size_t kRecordBytes = 16 << 10;
  // After so many records the keys are changed: well before AES-GCM wears out
  // (RFC 8446, section 5.5: 2^24.5 of them).
  static constexpr uint64_t kRecordsOfAKey = 1 << 23;

  // The client's end of a connection to `host`, a DNS name or an IP address,
  // for which the server's certificate has to be. `context` is a client's.
  static std::unique_ptr<TlsSession> Client(
      SSL_CTX& context, const std::string& host,
      uint64_t records_of_a_key = kRecordsOfAKey);
  // The server's end; `context` is a server's.
  static std::unique_ptr<TlsSession> Server(SSL_CTX& context);

  // Bytes that came.
  void Receive(ByteSpan bytes);

  // Goes on with the handshake as far as what came allows: true when it is
  // done. kUnauthenticated: one end does not take the other's certificate;
  // kUnavailable: the far end does not keep to TLS. Output may be left for the
  // far end after an error, too.
  absl::StatusOr<bool> Handshake();

  // Decrypts into `space` what came; 0 if that needs more to come, or the far
  // end closed its side, see has_closed(). Fails as Handshake(): a server
  // judges a client's certificate after the client's handshake is done.
  absl::StatusOr<size_t> Read(absl::Span<std::byte> space);
  // What came before is read; the next Read() fails.
  bool has_failed() const { return !failure_.ok(); }
  bool has_closed() const {
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

  // Encrypts. REQUIRES: the handshake is done.
  absl::Status Write(ByteSpan bytes);
  // Says that no more will be written.
  void Close();

  // What is to be sent, once.
  std::string TakeOutput();

  // Whom the far end's certificate is for; see certificate_names.h. REQUIRES:
  // the handshake is done.
  std::vector<std::string> PeerNames() const;

 private:
  TlsSession(SSL_CTX& context, uint64_t records_of_a_key);
  absl::Status Failure() const;

  const OpenSslPtr<SSL> ssl_;
  const uint64_t records_of_a_key_;
  uint64_t records_ = 0;  // Written since the keys were changed.
  BIO* in_ = nullptr;     // Owned by ssl_, as out_.
  BIO* out_ = nullptr;
  std::string host_;      // Empty at a server.
  absl::Status failure_;  // That Read() has to tell yet, or has told.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_TLS_SESSION_H_
