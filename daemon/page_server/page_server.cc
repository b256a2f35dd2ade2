#include "daemon/page_server/page_server.h"

#include <utility>

#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

constexpr char kServiceName[] = "pagelift.v1.PageServer";

}  // namespace

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(
    const std::string& address, ImageAccess images, Options options) {
  std::unique_ptr<PageServer> server(new PageServer(images, options));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  ASSIGN_OR_RETURN(server->server_,
                   DoorServer::Start(address, server->service_, builder,
                                     std::move(options.tls),
                                     options.connections_per_client));
  server->server_->grpc_server().GetHealthCheckService()->SetServingStatus(
      kServiceName, true);
  return server;
}

PageServer::PageServer(ImageAccess images, const Options& options)
    : service_(images, options.keep, options.limits) {}

PageServer::~PageServer() {
  if (server_ != nullptr) Stop(absl::ZeroDuration());
}

void PageServer::Stop(absl::Duration deadline) {
  server_->grpc_server().GetHealthCheckService()->Shutdown();
  server_->Stop(deadline);
}

}  // namespace pagelift
