#ifndef PAGELIFT_DAEMON_MIGRATION_WIRE_MIGRATION_CLIENT_H_
#define PAGELIFT_DAEMON_MIGRATION_WIRE_MIGRATION_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "lib/transport/endpoint.h"
#include "pagelift/v1/migration.grpc.pb.h"

namespace pagelift {

// What the source of a migration asks of its destination, again and again until
// it is answered. An answer is what the receiver said; kUnavailable: it could
// not be reached, or gave none, for as long as the caller has patience.
//
// Thread-safe.
class MigrationClient {
 public:
  MigrationClient(const Endpoint& receiver, std::string id);

  absl::StatusOr<v1::PrepareResponse> Prepare(v1::PrepareRequest request,
                                              absl::Duration patience);
  // Calls `begin` for each try, and then what that returns for each message to
  // be sent, until it returns false.
  using NextPart =
      std::function<absl::StatusOr<bool>(v1::ShipImagesRequest* part)>;
  absl::Status ShipImages(absl::FunctionRef<absl::StatusOr<NextPart>()> begin,
                          absl::Duration patience);
  absl::Status Restore(v1::RestoreRequest request, absl::Duration patience);
  absl::Status Commit(absl::Duration patience);
  absl::Status Abort(const std::string& reason, absl::Duration patience);
  // Is asked once.
  absl::StatusOr<v1::GetMigrationResponse> GetMigration();
  absl::Status Release(absl::Duration patience);

  // Breaks off the calls that are under way: they return kCancelled.
  void Cancel();

 private:
  using Call = absl::FunctionRef<grpc::Status(grpc::ClientContext&)>;

  // One try, that Cancel() breaks off.
  absl::Status Try(Call call, absl::Duration deadline);
  absl::Status Ask(Call call, absl::Duration deadline, absl::Duration patience);

  const std::string receiver_;
  const std::string id_;
  const std::unique_ptr<v1::Migration::Stub> stub_;

  absl::Mutex mu_;
  absl::CondVar cancelled_;
  int cancels_ ABSL_GUARDED_BY(mu_) = 0;
  grpc::ClientContext* under_way_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_WIRE_MIGRATION_CLIENT_H_
