#include "lib/transport/source_endpoints.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

// Unless the URL names another one.
constexpr char kTlsDirectory[] = "/etc/pagelift/tls";

}  // namespace

absl::StatusOr<std::vector<Endpoint>> EndpointsOf(const SourceUrl& url) {
  std::vector<Endpoint> endpoints;
  if (url.tls) {
    ASSIGN_OR_RETURN(
        std::shared_ptr<TlsCredentials> credentials,
        TlsCredentials::Load(
            url.tls_directory.empty() ? kTlsDirectory : url.tls_directory,
            TlsCredentials::End::kClient));
    for (const std::string& address : url.addresses) {
      endpoints.emplace_back(address, credentials, url.server_name);
    }
    return endpoints;
  }
  for (const std::string& address : url.addresses) {
    if (!url.insecure && !IsLocalAddress(address)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "page server ", address, " is on another host, and grpc:// is ",
          "neither encrypted nor authenticated: use grpcs://, or --insecure ",
          "(?insecure behind the image's name) if whoever is on the way may ",
          "read and change the memory"));
    }
    endpoints.emplace_back(address);
  }
  return endpoints;
}

}  // namespace pagelift
