#ifndef PAGELIFT_LIB_TLS_TESTING_TEST_AUTHORITY_H_
#define PAGELIFT_LIB_TLS_TESTING_TEST_AUTHORITY_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>

namespace pagelift {

// An authority that certifies whomever a test wants.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  struct Holder {
    std::string common_name;
    // As OpenSSL's configuration has it: "DNS:a,IP:127.0.0.1"; may be empty.
    std::string alternatives = "DNS:localhost,IP:127.0.0.1";
    // When it ends, from now.
    long seconds = 3600;
  };
  // Writes tls.crt, tls.key and ca.crt into `directory`, which is made if it is
  // missing; each is replaced by a rename.
  void Issue(const Holder& holder, const std::string& directory) const;
  // The certificate alone, PEM.
  std::string IssuePem(const Holder& holder) const;

 private:
  X509* Certify(const Holder& holder, EVP_PKEY* key) const;

  EVP_PKEY* const key_;
  X509* const certificate_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_TESTING_TEST_AUTHORITY_H_
