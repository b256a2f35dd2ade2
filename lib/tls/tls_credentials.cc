#include "lib/tls/tls_credentials.h"

#include <fcntl.h>
#include <openssl/err.h>

#include <cstring>
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
  absl::MutexLock lock(&credentials->mu_);
  ASSIGN_OR_RETURN(credentials->tried_, credentials->Look());
  ASSIGN_OR_RETURN(credentials->current_, credentials->Read());
  return credentials;
}

std::shared_ptr<SSL_CTX> TlsCredentials::Current() {
  absl::MutexLock lock(&mu_);
  absl::StatusOr<Identities> now = Look();
  if (now.ok() && *now == tried_) return current_;
  absl::StatusOr<std::shared_ptr<SSL_CTX>> context =
      now.ok() ? Read() : now.status();
  tried_ = now.ok() ? *std::move(now) : Identities();
  if (context.ok()) {
    LOG(Info) << "certificates in " << directory_ << " are read anew";
    current_ = *std::move(context);
    trouble_.clear();
  } else if (trouble_ != context.status().message()) {
    trouble_ = std::string(context.status().message());
    LOG(Warning) << trouble_ << ": goes on with the former certificates";
  }
  return current_;
}

absl::StatusOr<TlsCredentials::Identities> TlsCredentials::Look() const {
  Identities identities;
  for (const std::string& file :
       {certificate_file(), key_file(), authorities_file()}) {
    ASSIGN_OR_RETURN(FileIdentity identity, FileIdentity::Of(AT_FDCWD, file));
    identities.push_back(identity);
  }
  return identities;
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
  if (SSL_CTX_use_PrivateKey_file(context, key_file().c_str(),
                                  SSL_FILETYPE_PEM) != 1) {
    return NotUsable(key_file());
  }
  if (SSL_CTX_load_verify_locations(context, authorities_file().c_str(),
                                    nullptr) != 1) {
    return NotUsable(authorities_file());
  }
  return std::shared_ptr<SSL_CTX>(std::move(owned));
}

}  // namespace pagelift
