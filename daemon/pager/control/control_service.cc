#include "daemon/pager/control/control_service.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

// So that whoever asked knows an answer of ours from a connection that broke.
void SayThatItIsUs(grpc::ServerContext& context) {
  context.AddTrailingMetadata(kAnsweredBy, "pageliftd");
}

}  // namespace

grpc::Status ControlService::OpenSession(grpc::ServerContext* context,
                                         const v1::OpenSessionRequest* request,
                                         v1::OpenSessionResponse* response) {
  SayThatItIsUs(*context);
  absl::StatusOr<v1::OpenSessionResponse> opened = registry_.Open(*request);
  if (opened.ok()) *response = *opened;
  return ToGrpc(opened.status());
}

grpc::Status ControlService::ListSessions(
    grpc::ServerContext* context, const v1::ListSessionsRequest* request,
    v1::ListSessionsResponse* response) {
  SayThatItIsUs(*context);
  absl::StatusOr<std::vector<v1::SessionStatus>> sessions =
      registry_.List(request->session());
  if (!sessions.ok()) return ToGrpc(sessions.status());
  for (v1::SessionStatus& session : *sessions) {
    response->add_sessions()->Swap(&session);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::CancelSession(
    grpc::ServerContext* context, const v1::CancelSessionRequest* request,
    v1::CancelSessionResponse* /*response*/) {
  SayThatItIsUs(*context);
  return ToGrpc(registry_.Cancel(request->session()));
}

grpc::Status ControlService::TuneSession(
    grpc::ServerContext* context, const v1::TuneSessionRequest* request,
    v1::TuneSessionResponse* /*response*/) {
  SayThatItIsUs(*context);
  return ToGrpc(registry_.Tune(*request));
}

grpc::Status ControlService::GetDaemon(grpc::ServerContext* context,
                                       const v1::GetDaemonRequest* /*request*/,
                                       v1::DaemonStatus* response) {
  SayThatItIsUs(*context);
  response->set_holder_pid(page_.holder);
  response->set_worker_pid(getpid());
  response->set_crashes(page_.crashes);
  response->set_upgrades(page_.upgrades);
  return grpc::Status::OK;
}

grpc::Status ControlService::Upgrade(grpc::ServerContext* context,
                                     const v1::UpgradeRequest* request,
                                     v1::UpgradeResponse* /*response*/) {
  SayThatItIsUs(*context);
  return ToGrpc(upgrade_.Begin(request->program()));
}

}  // namespace pagelift
