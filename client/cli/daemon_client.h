#ifndef PAGELIFT_CLIENT_CLI_DAEMON_CLIENT_H_
#define PAGELIFT_CLIENT_CLI_DAEMON_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "lib/workingset/working_set.h"
#include "pagelift/v1/control.grpc.pb.h"

namespace pagelift {

// What a command says to pageliftd over its control socket. A daemon that
// crashes while it is asked goes on a moment later, and is asked again.
// Thread-safe.
class DaemonClient {
 public:
  // kUnavailable, with what to do, if no daemon answers at `socket`.
  static absl::StatusOr<DaemonClient> Connect(const std::string& socket);
  // The same, but starts a daemon if there is none. It ends by itself when it
  // has had no session for a minute. `keep` is for that one.
  static absl::StatusOr<DaemonClient> ConnectOrStart(const std::string& socket,
                                                     KeepWorkingSets keep);

  absl::StatusOr<v1::OpenSessionResponse> OpenSession(
      const v1::OpenSessionRequest& request);
  absl::StatusOr<std::vector<v1::SessionStatus>> ListSessions();
  absl::StatusOr<v1::SessionStatus> GetSession(const std::string& session);
  absl::Status CancelSession(const std::string& session);
  absl::Status TuneSession(const v1::TuneSessionRequest& request);
  absl::StatusOr<v1::DaemonStatus> GetDaemon();
  absl::Status Upgrade(const v1::UpgradeRequest& request);

 private:
  using Stub = v1::Control::Stub;
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&,
                                        Response*);
  using Call = absl::FunctionRef<grpc::Status(grpc::ClientContext&)>;

  DaemonClient(std::string socket, std::unique_ptr<Stub> stub)
      : socket_(std::move(socket)), stub_(std::move(stub)) {}

  // Makes the call, and again if nobody answers though somebody listens.
  grpc::Status Ask(absl::Duration deadline, Call call) const;
  // The same, with the usual deadline.
  template <typename Request, typename Response>
  absl::Status AskOf(Method<Request, Response> method, const Request& request,
                     Response* response);

  absl::StatusOr<std::vector<v1::SessionStatus>> List(
      const std::string& session);

  std::string socket_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_DAEMON_CLIENT_H_
