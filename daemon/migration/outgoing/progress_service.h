#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_PROGRESS_SERVICE_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_PROGRESS_SERVICE_H_

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "daemon/migration/outgoing/outgoing_migration.h"
#include "grpcpp/grpcpp.h"
#include "pagelift/v1/migration.grpc.pb.h"

namespace pagelift {

// pagelift.v1.MigrationSource of one migration. Thread-safe.
class ProgressService final : public v1::MigrationSource::Service {
 public:
  // `migration` must outlive the service.
  explicit ProgressService(OutgoingMigration& migration)
      : migration_(migration) {}

  grpc::Status GetProgress(grpc::ServerContext* context,
                           const v1::GetProgressRequest* request,
                           v1::MigrationProgress* response) override;
  grpc::Status AbortMigration(grpc::ServerContext* context,
                              const v1::AbortMigrationRequest* request,
                              v1::AbortMigrationResponse* response) override;

  // Returns when somebody has been told how it ended, or after `patience`.
  void WaitUntilEndWasTold(absl::Duration patience) {
    end_was_told_.WaitForNotificationWithTimeout(patience);
  }

 private:
  OutgoingMigration& migration_;
  absl::Notification end_was_told_;
  absl::once_flag told_once_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_PROGRESS_SERVICE_H_
