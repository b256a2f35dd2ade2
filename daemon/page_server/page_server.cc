#include "daemon/page_server/page_server.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/page_server/listen_address.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "lib/base/status_macros.h"
#include "lib/transport/channel.h"

namespace pagelift {
namespace {

constexpr char kServiceName[] = "pagelift.v1.PageServer";

}  // namespace

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(
    const std::string& address, ImageCatalog& catalog, KeepWorkingSets keep) {
  RETURN_IF_ERROR(CheckCanListen(address));
  std::unique_ptr<PageServer> server(new PageServer(catalog, keep));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  ConfigurePageServer(builder);
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&server->service_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address,
                     ": the log of gRPC, just above, says why"));
  }
  server->server_->GetHealthCheckService()->SetServingStatus(kServiceName,
                                                             true);
  server->address_ = WithPort(address, port);
  return server;
}

PageServer::PageServer(ImageCatalog& catalog, KeepWorkingSets keep)
    : service_(catalog, keep) {}

PageServer::~PageServer() {
  if (server_ != nullptr) Stop(absl::ZeroDuration());
}

void PageServer::Stop(absl::Duration deadline) {
  server_->GetHealthCheckService()->Shutdown();
  service_.Drain();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + deadline));
}

}  // namespace pagelift
