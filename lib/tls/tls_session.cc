#include "lib/tls/tls_session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/tls/certificate_names.h"

namespace pagelift {
namespace {

bool IsIpAddress(const std::string& host) {
  in6_addr ignored;
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

// RFC 8446, section 6.2.
bool IsAboutCertificates(int alert) {
  return (SSL_AD_BAD_CERTIFICATE <= alert &&
          alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
         alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED ||
         alert == SSL_AD_CERTIFICATE_REQUIRED;
}

}  // namespace

TlsSession::TlsSession(SSL_CTX& context, uint64_t records_of_a_key)
    : ssl_(SSL_new(&context)),
      records_of_a_key_(records_of_a_key),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())) {
  CHECK(ssl_ != nullptr && in_ != nullptr && out_ != nullptr) << "no memory";
  SSL_set_bio(ssl_.get(), in_, out_);
}

std::unique_ptr<TlsSession> TlsSession::Client(SSL_CTX& context,
                                               const std::string& host,
                                               uint64_t records_of_a_key) {
  std::unique_ptr<TlsSession> session(
      new TlsSession(context, records_of_a_key));
  session->host_ = host;
  SSL* const ssl = session->ssl_.get();
  SSL_set_connect_state(ssl);
  // Who is certified as a client by its common name is no server.
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                             X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool ok;
  if (IsIpAddress(host)) {
    ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    ok = SSL_set1_host(ssl, host.c_str()) == 1 &&
         SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  }
  std::string protocols;
  for (const std::string& name :
       {std::string(kSingleCallProtocol), std::string("h2")}) {
    protocols += static_cast<char>(name.size());
    protocols += name;
  }
  ok = ok && SSL_set_alpn_protos(
                 ssl, reinterpret_cast<const unsigned char*>(protocols.data()),
                 static_cast<unsigned>(protocols.size())) == 0;
  CHECK(ok) << TakeOpenSslError();
  return session;
}

std::unique_ptr<TlsSession> TlsSession::Server(SSL_CTX& context) {
  std::unique_ptr<TlsSession> session(new TlsSession(context, kRecordsOfAKey));
  SSL_set_accept_state(session->ssl_.get());
  return session;
}

void TlsSession::Receive(ByteSpan bytes) {
  if (bytes.empty()) return;
  CHECK(BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) ==
        static_cast<int>(bytes.size()))
      << "no memory";
}

absl::StatusOr<bool> TlsSession::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return true;
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return false;
  return Failure();
}

absl::StatusOr<size_t> TlsSession::Read(absl::Span<std::byte> space) {
  if (!failure_.ok()) return failure_;
  size_t got = 0;
  while (got < space.size()) {
    ERR_clear_error();
    size_t more = 0;
    const int result =
        SSL_read_ex(ssl_.get(), space.data() + got, space.size() - got, &more);
    if (result == 1) {
      got += more;
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN) break;
    // OpenSSL knows the reason but once.
    failure_ = Failure();
    if (got > 0) break;
    return failure_;
  }
  return got;
}

absl::Status TlsSession::Write(ByteSpan bytes) {
  while (!bytes.empty()) {
    ERR_clear_error();
    if (records_ >= records_of_a_key_) {
      if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
        return Failure();
      }
      records_ = 0;
    }
    size_t written = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(),
                     std::min(bytes.size(), kRecordBytes), &written) != 1) {
      return Failure();
    }
    ++records_;
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

void TlsSession::Close() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_.get()) == 1) SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string TlsSession::TakeOutput() {
  std::string output(BIO_ctrl_pending(out_), '\0');
  if (!output.empty()) {
    BIO_read(out_, &output[0], static_cast<int>(output.size()));
  }
  return output;
}

std::vector<std::string> TlsSession::PeerNames() const {
  const OpenSslPtr<X509> certificate(SSL_get1_peer_certificate(ssl_.get()));
  CHECK(certificate != nullptr) << "no handshake";
  return CertificateNames(*certificate);
}

absl::Status TlsSession::Failure() const {
  const long verified = SSL_get_verify_result(ssl_.get());
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  const bool of_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
  const std::string text = TakeOpenSslError();
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH ||
      verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return absl::UnauthenticatedError(
        absl::StrCat("its certificate is not for ", host_));
  }
  if (verified != X509_V_OK) {
    return absl::UnauthenticatedError(
        absl::StrCat("its certificate is not accepted: ",
                     X509_verify_cert_error_string(verified)));
  }
  if (of_ssl && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    return absl::UnauthenticatedError("it shows no certificate");
  }
  if (of_ssl && IsAboutCertificates(reason - SSL_AD_REASON_OFFSET)) {
    return absl::UnauthenticatedError(
        absl::StrCat("it does not accept us: ", text));
  }
  return absl::UnavailableError(absl::StrCat("TLS: ", text));
}

}  // namespace pagelift
