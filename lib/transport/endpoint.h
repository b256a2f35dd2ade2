#ifndef PAGELIFT_LIB_TRANSPORT_ENDPOINT_H_
#define PAGELIFT_LIB_TRANSPORT_ENDPOINT_H_

#include <memory>
#include <string>
#include <utility>

#include "lib/tls/tls_credentials.h"

namespace pagelift {

// Where a page server is, and how it is talked to.
struct Endpoint {
  // In plain text.
  Endpoint(std::string where) : address(std::move(where)) {}  // NOLINT
  Endpoint(const char* where) : address(where) {}             // NOLINT
  // Over TLS, with a client's credentials. The server has to be certified as
  // `certified_as`; if that is empty, as the host of `where`.
  Endpoint(std::string where, std::shared_ptr<TlsCredentials> credentials,
           std::string certified_as);

  std::string address;                  // As in socket_address.h.
  std::shared_ptr<TlsCredentials> tls;  // Null: plain text.
  std::string server_name;              // Not empty if there is TLS.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_ENDPOINT_H_
