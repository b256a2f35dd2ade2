#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_RESTORE_WORK_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_RESTORE_WORK_H_

#include <atomic>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/migration/destination_protocol.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {

// What is done for a migration at its destination. Called by one thread, and
// each of it perhaps by the successor of a process that died in its midst.
class RestoreWork {
 public:
  virtual ~RestoreWork() = default;

  // Does what can be done before it is known what is to be restored, and then
  // what can be done while it is shipped: both only make Restore() quicker. Not
  // OK: they do not, and there may be nothing that can.
  virtual absl::Status GetReady() = 0;
  virtual absl::Status Expect(const v1::RestoreRequest& request) = 0;
  // Restores what was shipped, until all is held and nothing has run. kAborted
  // tells what CRIU complains of. `request` has the host of its page server.
  // Breaks off, with kCancelled, soon after `is_cancelled` has become true.
  virtual absl::Status Restore(const v1::RestoreRequest& request,
                               const std::atomic<bool>& is_cancelled) = 0;
  // Lets it run, and waits until it does.
  virtual absl::Status LetGo() = 0;
  // What there is of it.
  virtual absl::StatusOr<RestoreFound> Look() = 0;
  // Kills what there is of it, and waits for its end.
  virtual absl::Status CleanUp() = 0;
  // Removes all that is no longer needed when it runs with all its memory, or
  // is not to be restored any more.
  virtual absl::Status Forget() = 0;
  // What is held may be lost, and has to be looked at.
  virtual bool MayBeLost() = 0;
  // Fills in what is known of its session.
  virtual void Describe(v1::GetMigrationResponse* response) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_RESTORE_WORK_H_
