#include "client/cli/daemon_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/programs.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/random_id.h"
#include "lib/base/status_macros.h"
#include "lib/process/fd_channel.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

// Where nobody listens that is told at once; a daemon that is there may have
// many sessions and too few processors.
constexpr absl::Duration kConnectDeadline = absl::Seconds(20);
// Opening a session includes opening its source, perhaps on a slow server.
constexpr absl::Duration kCallDeadline = absl::Seconds(60);
// How long a daemon may take to go on: it is started anew within milliseconds,
// but one that crashes again and again waits for some seconds.
constexpr absl::Duration kRestartPatience = absl::Seconds(15);
constexpr int kReconnectMs = 20;
constexpr int kConnectMs = 2000;
constexpr absl::Duration kBetweenTries = absl::Milliseconds(20);

// For as long as a daemon lives its socket takes connections.
bool SomebodyListens(const std::string& socket) {
  return FdChannel::Connect(socket).ok();
}

}  // namespace

grpc::Status DaemonClient::Ask(absl::Duration deadline, Call call) const {
  const absl::Time give_up = absl::Now() + kRestartPatience;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    const grpc::Status status = call(context);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE ||
        context.GetServerTrailingMetadata().count(kAnsweredBy) > 0 ||
        give_up <= absl::Now() || !SomebodyListens(socket_)) {
      return status;
    }
    absl::SleepFor(kBetweenTries);
  }
}

absl::StatusOr<DaemonClient> DaemonClient::Connect(const std::string& socket) {
  KeepGrpcToTheEnd();
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  // How long a connection may take; the name tells less.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 10 * kReconnectMs);
  std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), args);
  DaemonClient client(socket, v1::Control::NewStub(channel));
  v1::ListSessionsRequest request;
  v1::ListSessionsResponse response;
  const grpc::Status status =
      client.Ask(kConnectDeadline, [&](grpc::ClientContext& context) {
        return client.stub_->ListSessions(&context, request, &response);
      });
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
  // Two at one socket would take each other's sessions for their own.
  if (client.ok() || SomebodyListens(socket)) return client;
  RETURN_IF_ERROR(StartPager(socket, keep));
  return Connect(socket);
}

template <typename Request, typename Response>
absl::Status DaemonClient::AskOf(Method<Request, Response> method,
                                 const Request& request, Response* response) {
  return FromGrpc(Ask(kCallDeadline, [&](grpc::ClientContext& context) {
    return (*stub_.*method)(&context, request, response);
  }));
}

absl::StatusOr<v1::OpenSessionResponse> DaemonClient::OpenSession(
    const v1::OpenSessionRequest& request) {
  v1::OpenSessionRequest again = request;
  again.set_request_id(NewRandomId());
  v1::OpenSessionResponse response;
  RETURN_IF_ERROR(AskOf(&Stub::OpenSession, again, &response));
  return response;
}

absl::StatusOr<std::vector<v1::SessionStatus>> DaemonClient::List(
    const std::string& session) {
  v1::ListSessionsRequest request;
  request.set_session(session);
  v1::ListSessionsResponse response;
  RETURN_IF_ERROR(AskOf(&Stub::ListSessions, request, &response));
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
  v1::CancelSessionRequest request;
  request.set_session(session);
  v1::CancelSessionResponse response;
  return AskOf(&Stub::CancelSession, request, &response);
}

absl::Status DaemonClient::TuneSession(const v1::TuneSessionRequest& request) {
  v1::TuneSessionResponse response;
  return AskOf(&Stub::TuneSession, request, &response);
}

absl::StatusOr<v1::DaemonStatus> DaemonClient::GetDaemon() {
  v1::DaemonStatus response;
  RETURN_IF_ERROR(AskOf(&Stub::GetDaemon, v1::GetDaemonRequest(), &response));
  return response;
}

absl::Status DaemonClient::Upgrade(const v1::UpgradeRequest& request) {
  v1::UpgradeResponse response;
  return AskOf(&Stub::Upgrade, request, &response);
}

}  // namespace pagelift
