#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_OUTGOING_MIGRATION_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_OUTGOING_MIGRATION_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/migration/outgoing/source_work.h"
#include "lib/migration/source_protocol.h"
#include "pagelift/v1/migration.pb.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {

// A migration that leaves this host: does what SourceProtocol decides, on a
// thread of its own, and has its record in a directory.
//
// Thread-safe.
class OutgoingMigration {
 public:
  // Begins, or, with a record in `directory`, goes on from that. The record of
  // one that begins is written first, so that whoever comes after a death
  // knows.
  static absl::StatusOr<std::unique_ptr<OutgoingMigration>> Open(
      std::string id, std::string directory, std::unique_ptr<SourceWork> work);
  // Stops where it is, as a death would, when the step that is being done ends.
  ~OutgoingMigration();

  // Has it stay here. kFailedPrecondition: it is past the commit point.
  absl::Status Abort(const std::string& reason);
  v1::MigrationProgress Describe();
  // Returns when nothing is left to do; false if that takes longer.
  bool WaitUntilDone(absl::Duration patience);

 private:
  struct Phase {
    std::string name;
    absl::Duration took;
  };

  OutgoingMigration(std::string id, std::string directory,
                    std::unique_ptr<SourceWork> work, v1::SourceRecord record,
                    SourceProtocol protocol);

  void Run();
  void DoStep(SourceStep step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Record(SourceRecorded recorded)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsDone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Aborted, and only the destination is to be told of that.
  bool RunsHereForGood() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Since the tree was frozen, until it ran again, here or there.
  absl::Duration Downtime() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string id_;
  const std::string directory_;
  const std::unique_ptr<SourceWork> work_;
  const absl::Time begun_;

  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  SourceProtocol protocol_ ABSL_GUARDED_BY(mu_);
  v1::SourceRecord record_ ABSL_GUARDED_BY(mu_);
  std::vector<Phase> phases_ ABSL_GUARDED_BY(mu_);
  absl::Time frozen_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time running_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  int failures_in_a_row_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status last_failure_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: uses all of it.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_OUTGOING_MIGRATION_H_
