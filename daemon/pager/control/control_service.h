#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_

#include "daemon/pager/control/session_registry.h"
#include "pagelift/v1/control.grpc.pb.h"

namespace pagelift {

// pagelift.v1.Control over a session registry. Thread-safe.
class ControlService final : public v1::Control::Service {
 public:
  // `registry` must outlive the service.
  explicit ControlService(SessionRegistry& registry) : registry_(registry) {}

  grpc::Status OpenSession(grpc::ServerContext* context,
                           const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override;
  grpc::Status ListSessions(grpc::ServerContext* context,
                            const v1::ListSessionsRequest* request,
                            v1::ListSessionsResponse* response) override;
  grpc::Status CancelSession(grpc::ServerContext* context,
                             const v1::CancelSessionRequest* request,
                             v1::CancelSessionResponse* response) override;
  grpc::Status TuneSession(grpc::ServerContext* context,
                           const v1::TuneSessionRequest* request,
                           v1::TuneSessionResponse* response) override;

 private:
  SessionRegistry& registry_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_
