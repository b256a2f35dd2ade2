#include "lib/transport/door_server.h"

#include <utility>

#include "absl/time/clock.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "lib/base/status_macros.h"
#include "lib/base/unique_fd.h"
#include "lib/transport/channel.h"
#include "lib/transport/socket_address.h"

namespace pagelift {

absl::StatusOr<std::unique_ptr<DoorServer>> DoorServer::Start(
    const std::string& address, PageService& service,
    grpc::ServerBuilder& builder, std::shared_ptr<TlsCredentials> tls,
    size_t most) {
  ASSIGN_OR_RETURN(Listener listener, Listener::ListenOn(address));
  std::unique_ptr<DoorServer> server(new DoorServer(service));
  ConfigurePageServer(builder);
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      PageServerCredentials(tls.get()));
  builder.RegisterService(&service);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::InternalError(
        "cannot start gRPC's server: its log, just above, says why");
  }
  server->door_ = std::make_unique<PageDoor>(
      std::move(listener), service.streams(),
      [acceptor = server->acceptor_.get()](UniqueFd socket,
                                           std::string first_bytes) {
        grpc::Slice slice(first_bytes);
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
            connection;
        connection.fd = socket.release();
        connection.read_buffer = grpc::ByteBuffer(&slice, 1);
        acceptor->HandleNewConnection(&connection);
      },
      std::move(tls), most);
  return server;
}

DoorServer::~DoorServer() {
  if (door_ != nullptr) Stop(absl::ZeroDuration());
}

void DoorServer::Stop(absl::Duration deadline) {
  const absl::Time until = absl::Now() + deadline;
  // The service itself is not over: it may have another server after a crash.
  if (deadline > absl::ZeroDuration()) service_.streams().Drain();
  door_->Stop(deadline);
  server_->Shutdown(absl::ToChronoTime(until));
}

}  // namespace pagelift
