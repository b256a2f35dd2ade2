#include "lib/tls/tls_credentials.h"

#include <openssl/err.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/tls/tls_session.h"

namespace pagelift {
namespace {

// Takes the protocol of our own, if it is offered: only connections that offer
// it come here.
int SelectProtocol(SSL*, const unsigned char** selected, unsigned char* size,
                   const unsigned char* offered, unsigned offered_size, void*) {
  const absl::string_view wanted = kSingleCallProtocol;
  // Each has its length before it.
  for (unsigned i = 0; i < offered_size; i += 1u + offered[i]) {
    const absl::string_view name(reinterpret_cast<const char*>(offered) + i + 1,
                                 offered[i]);
    if (name != wanted) continue;
    *selected = offered + i + 1;
    *size = offered[i];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::Status NotUsable(const std::string& file) {
  return absl::FailedPreconditionError(
      absl::StrCat(file, " cannot be used: ", TakeOpenSslError()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<TlsCredentials>> TlsCredentials::Load(
    std::string directory, End end) {
  std::shared_ptr<TlsCredentials> credentials(
      new TlsCredentials(std::move(directory), end));
  ASSIGN_OR_RETURN(
      credentials->files_,
      RenewedFiles<SSL_CTX>::Load(
          {credentials->certificate_file(), credentials->key_file(),
           credentials->authorities_file()},
          [self = credentials.get()] { return self->Read(); }));
  return credentials;
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> TlsCredentials::Read() const {
  ERR_clear_error();
  const bool is_server = end_ == End::kServer;
  OpenSslPtr<SSL_CTX> owned(
      SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  CHECK(owned != nullptr) << TakeOpenSslError();
  SSL_CTX* const context = owned.get();
  // Both ends are ours.
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  // 128 bits are enough, and a fifth faster than 256.
  SSL_CTX_set_ciphersuites(context,
                           "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                           "TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  // Each connection shows its certificate.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  if (is_server) SSL_CTX_set_alpn_select_cb(context, SelectProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file().c_str()) !=
      1) {
    return NotUsable(certificate_file());
  }
  // One that needs a password is no use to who restarts by itself.
  SSL_CTX_set_default_passwd_cb(context,
                                [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context, key_file().c_str(),
                                  SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return NotUsable(key_file());
  }
  if (SSL_CTX_load_verify_locations(context, authorities_file().c_str(),
                                    nullptr) != 1) {
    return NotUsable(authorities_file());
  }
  return std::shared_ptr<SSL_CTX>(std::move(owned));
}

}  // namespace pagelift
