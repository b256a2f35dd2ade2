#ifndef PAGELIFT_LIB_TRANSPORT_DOOR_SERVER_H_
#define PAGELIFT_LIB_TRANSPORT_DOOR_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/page_door.h"
#include "lib/transport/page_service.h"

namespace pagelift {

// A page service on an address: gRPC's server behind a PageDoor, which serves
// connections that carry pages and nothing else itself.
//
// Thread-safe. Serves from Start() on.
class DoorServer {
 public:
  // `address` as in socket_address.h; the error says why it cannot be had.
  // `builder` may have further services; all must outlive the server. A client
  // has at most `most` connections at a time, over TLS unless `tls`, a
  // server's, is null.
  static absl::StatusOr<std::unique_ptr<DoorServer>> Start(
      const std::string& address, PageService& service,
      grpc::ServerBuilder& builder,
      std::shared_ptr<TlsCredentials> tls = nullptr,
      size_t most = PageDoor::kMostOfAClient);
  // As Stop() with no time to lose.
  ~DoorServer();

  // Where it listens, with the port that was chosen.
  const std::string& address() const { return door_->address(); }
  grpc::Server& grpc_server() { return *server_; }

  // Lets streams finish what they were asked for, and breaks off after
  // `deadline` what is then left. Idempotent.
  void Stop(absl::Duration deadline);

 private:
  explicit DoorServer(PageService& service) : service_(service) {}

  PageService& service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<PageDoor> door_;  // Last: uses the server.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_DOOR_SERVER_H_
