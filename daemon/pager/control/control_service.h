#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_

#include "daemon/pager/control/session_registry.h"
#include "daemon/pager/control/upgrade.h"
#include "daemon/pager/holder/holder_page.h"
#include "pagelift/v1/control.grpc.pb.h"

namespace pagelift {

// pagelift.v1.Control over a session registry. Thread-safe.
class ControlService final : public v1::Control::Service {
 public:
  // All must outlive the service.
  ControlService(SessionRegistry& registry, const HolderPage& page,
                 pagelift::Upgrade& upgrade)
      : registry_(registry), page_(page), upgrade_(upgrade) {}

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
  grpc::Status GetDaemon(grpc::ServerContext* context,
                         const v1::GetDaemonRequest* request,
                         v1::DaemonStatus* response) override;
  grpc::Status Upgrade(grpc::ServerContext* context,
                       const v1::UpgradeRequest* request,
                       v1::UpgradeResponse* response) override;

 private:
  SessionRegistry& registry_;
  const HolderPage& page_;
  pagelift::Upgrade& upgrade_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_SERVICE_H_
