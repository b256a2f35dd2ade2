#include "daemon/migration/outgoing/progress_service.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {

grpc::Status ProgressService::GetProgress(
    grpc::ServerContext* /*context*/, const v1::GetProgressRequest* /*request*/,
    v1::MigrationProgress* response) {
  // Before it is described: what it says is the end then.
  const bool has_ended = migration_.WaitUntilDone(absl::ZeroDuration());
  *response = migration_.Describe();
  if (has_ended) {
    absl::call_once(told_once_, [this] { end_was_told_.Notify(); });
  }
  return grpc::Status::OK;
}

grpc::Status ProgressService::AbortMigration(
    grpc::ServerContext* /*context*/, const v1::AbortMigrationRequest* request,
    v1::AbortMigrationResponse* /*response*/) {
  return ToGrpc(migration_.Abort(request->reason().empty()
                                     ? "somebody wanted it to stay here"
                                     : request->reason()));
}

}  // namespace pagelift
