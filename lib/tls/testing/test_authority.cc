#include "lib/tls/testing/test_authority.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "lib/base/log.h"
#include "lib/tls/openssl.h"

namespace pagelift {
namespace {

X509* NewCertificate(const std::string& common_name, EVP_PKEY* key,
                     long seconds) {
  static std::atomic<long> serial{1};
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
  X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
  X509_set_pubkey(certificate, key);
  CHECK(X509_NAME_add_entry_by_txt(
            X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
            reinterpret_cast<const unsigned char*>(common_name.data()),
            static_cast<int>(common_name.size()), -1, 0) == 1);
  return certificate;
}

void AddExtension(X509* certificate, X509* issuer, int kind,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  CHECK(extension != nullptr) << TakeOpenSslError();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <typename Writer>
std::string Pem(Writer write) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(write(bio.get()) == 1) << TakeOpenSslError();
  char* bytes;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

std::string PemOf(X509* certificate) {
  return Pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

void Replace(const std::string& path, const std::string& text) {
  std::ofstream(path + "~") << text;
  std::filesystem::rename(path + "~", path);
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name)
    : key_(EVP_EC_gen("P-256")),
      certificate_(NewCertificate(name, key_, 7200)) {
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  AddExtension(certificate_, certificate_, NID_basic_constraints,
               "critical,CA:TRUE");
  CHECK(X509_sign(certificate_, key_, EVP_sha256()) > 0) << TakeOpenSslError();
}

TestAuthority::~TestAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

X509* TestAuthority::Certify(const Holder& holder, EVP_PKEY* key) const {
  X509* const certificate =
      NewCertificate(holder.common_name, key, holder.seconds);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  if (!holder.alternatives.empty()) {
    AddExtension(certificate, certificate_, NID_subject_alt_name,
                 holder.alternatives);
  }
  CHECK(X509_sign(certificate, key_, EVP_sha256()) > 0) << TakeOpenSslError();
  return certificate;
}

void TestAuthority::Issue(const Holder& holder,
                          const std::string& directory) const {
  std::filesystem::create_directories(directory);
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = Certify(holder, key);
  Replace(directory + "/tls.crt", PemOf(certificate));
  Replace(directory + "/tls.key", Pem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0,
                                            nullptr, nullptr);
          }));
  Replace(directory + "/ca.crt", PemOf(certificate_));
  X509_free(certificate);
  EVP_PKEY_free(key);
}

std::string TestAuthority::IssuePem(const Holder& holder) const {
  X509* const certificate = Certify(holder, key_);
  const std::string pem = PemOf(certificate);
  X509_free(certificate);
  return pem;
}

}  // namespace pagelift
