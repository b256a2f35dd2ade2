#include "lib/transport/endpoint.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace pagelift {
namespace {

absl::string_view HostOf(absl::string_view address) {
  absl::string_view host = address.substr(0, address.rfind(':'));
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return host;
}

}  // namespace

Endpoint::Endpoint(std::string where,
                   std::shared_ptr<TlsCredentials> credentials,
                   std::string certified_as)
    : address(std::move(where)),
      tls(std::move(credentials)),
      server_name(certified_as.empty() ? std::string(HostOf(address))
                                       : std::move(certified_as)) {}

}  // namespace pagelift
