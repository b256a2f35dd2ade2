#ifndef PAGELIFT_LIB_TLS_OPENSSL_H_
#define PAGELIFT_LIB_TLS_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

// OpenSSL's objects, owned.
namespace pagelift {

struct OpenSslDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

template <typename T>
using OpenSslPtr = std::unique_ptr<T, OpenSslDeleter>;

// What the calling thread's OpenSSL calls complained of since ERR_clear_error()
// or this, for people; the innermost reason.
std::string TakeOpenSslError();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_OPENSSL_H_
