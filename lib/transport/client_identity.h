#ifndef PAGELIFT_LIB_TRANSPORT_CLIENT_IDENTITY_H_
#define PAGELIFT_LIB_TRANSPORT_CLIENT_IDENTITY_H_

#include <string>
#include <utility>
#include <vector>

#include "grpcpp/grpcpp.h"

namespace pagelift {

// Who a page server's client is, for the rules of who may open what.
class ClientIdentity {
 public:
  // A client on a Unix socket of this host: the file's permissions say who that
  // can be.
  static constexpr char kLocal[] = "LOCAL";
  // One that nobody has certified.
  static constexpr char kAnonymous[] = "ANONYMOUS";

  // Whom a certificate is for; see lib/tls/certificate_names.h.
  explicit ClientIdentity(std::vector<std::string> names)
      : names_(std::move(names)) {}
  // Without TLS: LOCAL or ANONYMOUS.
  static ClientIdentity OfSocket(int socket);
  // The client of a call of gRPC, with TLS or without.
  static ClientIdentity OfCall(const grpc::ServerContext& context);

  // One that is not let in, for `reason`.
  static ClientIdentity Refused(std::string reason);

  // Why it is not let in; empty if it is.
  const std::string& refusal() const { return refusal_; }
  // All that it may be called; may be empty.
  const std::vector<std::string>& names() const { return names_; }
  // The same, for people; the first, if there are many.
  std::string ToString() const;
  // What is counted as one client: all that is certified alike, or comes from
  // one host.
  std::string Account() const;

 private:
  // One that is not certified; `host` by ClientOf() its socket.
  ClientIdentity(std::vector<std::string> names, std::string host)
      : names_(std::move(names)), host_(std::move(host)) {}

  std::vector<std::string> names_;
  std::string host_;  // Empty: it is certified.
  std::string refusal_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CLIENT_IDENTITY_H_
