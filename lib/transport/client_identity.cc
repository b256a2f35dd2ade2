#include "lib/transport/client_identity.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "lib/tls/certificate_names.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

// By gRPC's grpc_security_constants.h, which is not installed with C++ in mind.
constexpr char kCertificateProperty[] = "x509_pem_cert";
constexpr char kSecurityProperty[] = "transport_security_type";
constexpr size_t kMostShown = 4;

bool IsInsecure(const grpc::AuthContext* auth) {
  if (auth == nullptr) return true;
  for (const grpc::string_ref& value :
       auth->FindPropertyValues(kSecurityProperty)) {
    if (value != "insecure") return false;
  }
  return true;
}

}  // namespace

ClientIdentity ClientIdentity::OfSocket(int socket) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  return ClientIdentity({domain == AF_UNIX ? kLocal : kAnonymous},
                        ClientOf(socket));
}

ClientIdentity ClientIdentity::OfCall(const grpc::ServerContext& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const std::vector<grpc::string_ref> certificates =
      auth == nullptr ? std::vector<grpc::string_ref>()
                      : auth->FindPropertyValues(kCertificateProperty);
  if (certificates.empty()) {
    const std::string peer = context.peer();
    if (absl::StartsWith(peer, "unix:")) {
      return ClientIdentity({kLocal}, kThisHost);
    }
    if (!IsInsecure(auth.get())) return Refused("it shows no certificate");
    // "ipv4:HOST:PORT".
    absl::string_view host = absl::string_view(peer).substr(0, peer.rfind(':'));
    absl::ConsumePrefix(&host, "ipv4:");
    return ClientIdentity({kAnonymous}, std::string(host));
  }
  absl::StatusOr<std::vector<std::string>> names =
      CertificateNamesOfPem(absl::string_view(certificates.front().data(),
                                              certificates.front().size()));
  if (!names.ok()) {
    return Refused(std::string(names.status().message()));
  }
  return ClientIdentity(*std::move(names));
}

ClientIdentity ClientIdentity::Refused(std::string reason) {
  ClientIdentity identity{std::vector<std::string>()};
  identity.refusal_ = std::move(reason);
  return identity;
}

std::string ClientIdentity::Account() const {
  return host_.empty() ? absl::StrJoin(names_, ",") : host_;
}

std::string ClientIdentity::ToString() const {
  if (names_.empty()) return "a client whose certificate has no name";
  return absl::StrJoin(names_.begin(),
                       names_.begin() + static_cast<ptrdiff_t>(std::min(
                                            names_.size(), kMostShown)),
                       ", ");
}

}  // namespace pagelift
