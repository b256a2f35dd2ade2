#include "lib/tls/certificate_names.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/tls/openssl.h"

namespace pagelift {
namespace {

void AddName(absl::string_view kind, const ASN1_STRING* value,
             std::vector<std::string>& names) {
  const absl::string_view text(
      reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
      static_cast<size_t>(ASN1_STRING_length(value)));
  // A zero byte in the midst of a name is an old way to look like another.
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == ' ';
  });
  if (!text.empty() && plain) names.push_back(absl::StrCat(kind, ":", text));
}

}  // namespace

std::vector<std::string> CertificateNames(const X509& certificate) {
  std::vector<std::string> names;
  auto* const alternatives = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_URI) {
      AddName("URI", name->d.uniformResourceIdentifier, names);
    } else if (name->type == GEN_DNS) {
      AddName("DNS", name->d.dNSName, names);
    }
  }
  GENERAL_NAMES_free(alternatives);
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  int at = -1;
  while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
    AddName("CN", X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)),
            names);
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> CertificateNamesOfPem(
    absl::string_view pem) {
  const OpenSslPtr<BIO> bytes(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const OpenSslPtr<X509> certificate(
      PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("no certificate: ", TakeOpenSslError()));
  }
  // A session that is resumed was judged when it was new.
  if (X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0 ||
      X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    return absl::UnauthenticatedError("the certificate has expired");
  }
  return CertificateNames(*certificate);
}

}  // namespace pagelift
