#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_MIGRATION_SERVICE_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_MIGRATION_SERVICE_H_

#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/migration/incoming/incoming_migrations.h"
#include "grpcpp/grpcpp.h"
#include "pagelift/v1/migration.grpc.pb.h"

namespace pagelift {

// pagelift.v1.Migration over the migrations of this host. Thread-safe.
class MigrationService final : public v1::Migration::Service {
 public:
  struct Options {
    std::string criu;  // Empty: there is none.
    // Who may migrate to here, as in a certificate; empty: whoever gets in.
    std::set<std::string> allowed;
  };

  // `migrations` must outlive the service.
  MigrationService(IncomingMigrations& migrations, Options options)
      : migrations_(migrations), options_(std::move(options)) {}

  grpc::Status Prepare(grpc::ServerContext* context,
                       const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override;
  grpc::Status ShipImages(grpc::ServerContext* context,
                          grpc::ServerReader<v1::ShipImagesRequest>* reader,
                          v1::ShipImagesResponse* response) override;
  grpc::Status Restore(grpc::ServerContext* context,
                       const v1::RestoreRequest* request,
                       v1::RestoreResponse* response) override;
  grpc::Status Commit(grpc::ServerContext* context,
                      const v1::CommitRequest* request,
                      v1::CommitResponse* response) override;
  grpc::Status Abort(grpc::ServerContext* context,
                     const v1::AbortRequest* request,
                     v1::AbortResponse* response) override;
  grpc::Status GetMigration(grpc::ServerContext* context,
                            const v1::GetMigrationRequest* request,
                            v1::GetMigrationResponse* response) override;
  grpc::Status Release(grpc::ServerContext* context,
                       const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;

 private:
  absl::Status CheckAllowed(const grpc::ServerContext& context) const;
  absl::StatusOr<std::shared_ptr<IncomingMigration>> Find(
      const grpc::ServerContext& context, const std::string& id) const;
  absl::Status Ship(const grpc::ServerContext& context,
                    grpc::ServerReader<v1::ShipImagesRequest>& reader);

  IncomingMigrations& migrations_;
  const Options options_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_MIGRATION_SERVICE_H_
