#include "lib/transport/client_identity.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "lib/base/log.h"
#include "lib/tls/certificate_names.h"

namespace pagelift {
namespace {

// By gRPC's grpc_security_constants.h, which is not installed with C++ in mind.
constexpr char kCertificateProperty[] = "x509_pem_cert";
constexpr size_t kMostShown = 4;

}  // namespace

ClientIdentity ClientIdentity::OfSocket(int socket) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  return ClientIdentity({domain == AF_UNIX ? kLocal : kAnonymous});
}

ClientIdentity ClientIdentity::OfCall(const grpc::ServerContext& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const std::vector<grpc::string_ref> certificates =
      auth == nullptr ? std::vector<grpc::string_ref>()
                      : auth->FindPropertyValues(kCertificateProperty);
  if (certificates.empty()) {
    return ClientIdentity(
        {absl::StartsWith(context.peer(), "unix:") ? kLocal : kAnonymous});
  }
  absl::StatusOr<std::vector<std::string>> names =
      CertificateNamesOfPem(absl::string_view(certificates.front().data(),
                                              certificates.front().size()));
  if (!names.ok()) {
    LOG(Warning) << "a client's certificate: " << names.status().message();
    return ClientIdentity(std::vector<std::string>());
  }
  return ClientIdentity(*std::move(names));
}

std::string ClientIdentity::ToString() const {
  if (names_.empty()) return "a client whose certificate has no name";
  return absl::StrJoin(names_.begin(),
                       names_.begin() + static_cast<ptrdiff_t>(std::min(
                                            names_.size(), kMostShown)),
                       ", ");
}

}  // namespace pagelift
