#ifndef PAGELIFT_LIB_TLS_CERTIFICATE_NAMES_H_
#define PAGELIFT_LIB_TLS_CERTIFICATE_NAMES_H_

#include <openssl/x509.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// Whom a certificate is for, each name with its kind before it, so that one
// kind cannot pass for another: the URIs and DNS names of its subjectAltName
// (RFC 5280, section 4.2.1.6), "URI:spiffe://prod/a" and "DNS:a.example", in
// their order, and its subject's common names, "CN:a". Names with a byte that
// is not printable ASCII are left out: nobody can write a rule about them, nor
// shall one read like another.
std::vector<std::string> CertificateNames(const X509& certificate);

// The same of the first certificate in `pem`; kInvalidArgument if there is
// none, kUnauthenticated if it has expired, or is not valid yet.
absl::StatusOr<std::vector<std::string>> CertificateNamesOfPem(
    absl::string_view pem);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_CERTIFICATE_NAMES_H_
