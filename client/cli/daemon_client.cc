#include "client/cli/daemon_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/programs.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

// Where nobody listens that is told at once; a daemon that is there may have
// many sessions and too few processors.
constexpr absl::Duration kConnectDeadline = absl::Seconds(20);
// Opening a session includes opening its source, perhaps on a slow server.
constexpr absl::Duration kCallDeadline = absl::Seconds(60);

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallDeadline));
}

}  // namespace

absl::StatusOr<DaemonClient> DaemonClient::Connect(const std::string& socket) {
  KeepGrpcToTheEnd();
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), args);
  DaemonClient client(v1::Control::NewStub(channel));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kConnectDeadline));
  v1::ListSessionsRequest request;
  v1::ListSessionsResponse response;
  grpc::Status status =
      client.stub_->ListSessions(&context, request, &response);
  if (!status.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "no pageliftd answers at ", socket, " (", status.error_message(),
        "); `pagelift restore` starts one, or start pageliftd --control ",
        socket));
  }
  return client;
}

absl::StatusOr<DaemonClient> DaemonClient::ConnectOrStart(
    const std::string& socket, KeepWorkingSets keep) {
  absl::StatusOr<DaemonClient> client = Connect(socket);
  if (client.ok()) return client;
  RETURN_IF_ERROR(StartPager(socket, keep));
  return Connect(socket);
}

absl::StatusOr<v1::OpenSessionResponse> DaemonClient::OpenSession(
    const v1::OpenSessionRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::OpenSessionResponse response;
  RETURN_IF_ERROR(FromGrpc(stub_->OpenSession(&context, request, &response)));
  return response;
}

absl::StatusOr<std::vector<v1::SessionStatus>> DaemonClient::List(
    const std::string& session) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListSessionsRequest request;
  request.set_session(session);
  v1::ListSessionsResponse response;
  RETURN_IF_ERROR(FromGrpc(stub_->ListSessions(&context, request, &response)));
  return std::vector<v1::SessionStatus>(response.sessions().begin(),
                                        response.sessions().end());
}

absl::StatusOr<std::vector<v1::SessionStatus>> DaemonClient::ListSessions() {
  return List("");
}

absl::StatusOr<v1::SessionStatus> DaemonClient::GetSession(
    const std::string& session) {
  ASSIGN_OR_RETURN(std::vector<v1::SessionStatus> sessions, List(session));
  if (sessions.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no session ", session));
  }
  return sessions.front();
}

absl::Status DaemonClient::CancelSession(const std::string& session) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CancelSessionRequest request;
  request.set_session(session);
  v1::CancelSessionResponse response;
  return FromGrpc(stub_->CancelSession(&context, request, &response));
}

absl::Status DaemonClient::TuneSession(const v1::TuneSessionRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::TuneSessionResponse response;
  return FromGrpc(stub_->TuneSession(&context, request, &response));
}

}  // namespace pagelift
