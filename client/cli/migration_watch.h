#ifndef PAGELIFT_CLIENT_CLI_MIGRATION_WATCH_H_
#define PAGELIFT_CLIENT_CLI_MIGRATION_WATCH_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "pagelift/v1/migration.grpc.pb.h"

namespace pagelift {

// The server of a migration on this host, as a command sees it. One that is
// killed goes on a moment later, and is asked again.
//
// Thread-compatible.
class MigrationWatch {
 public:
  explicit MigrationWatch(MigrationPlace place);

  // How far it is, or how it ended if it is over. kUnavailable: nobody is at
  // it.
  absl::StatusOr<v1::MigrationProgress> Get();
  // kFailedPrecondition: it is past the commit point.
  absl::Status Abort(const std::string& reason);

 private:
  absl::StatusOr<v1::MigrationProgress> GetOnce();

  const MigrationPlace place_;
  const std::unique_ptr<v1::MigrationSource::Stub> stub_;
};

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_MIGRATION_WATCH_H_
