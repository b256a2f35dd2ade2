#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATION_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATION_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/migration/incoming/restore_work.h"
#include "lib/migration/destination_protocol.h"
#include "pagelift/v1/migration.pb.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {

// One migration that comes to this host: does what DestinationProtocol decides,
// on a thread of its own, and has its record in a directory.
//
// Thread-safe. The calls are those of pagelift.v1.Migration, with its errors;
// each returns when it is done, or when `is_cancelled`.
class IncomingMigration {
 public:
  using IsCancelled = std::function<bool()>;

  // Goes on from the record in `directory`, which has to be there; without a
  // record nothing is known yet. `work` is made for the same directory.
  static absl::StatusOr<std::unique_ptr<IncomingMigration>> Open(
      std::string directory, std::unique_ptr<RestoreWork> work);
  // Stops where it is, as a death would. Waits for what is being done.
  ~IncomingMigration();

  absl::Status Prepare(const IsCancelled& is_cancelled);
  // Whether images may be shipped now.
  absl::Status MayShip();
  // One at a time ships: held from when it begins until it has published.
  absl::Mutex& shipping() ABSL_LOCK_RETURNED(shipping_) { return shipping_; }
  // Calls `publish` if they still may, and nothing is restored meanwhile.
  absl::Status Publish(absl::FunctionRef<absl::Status()> publish);
  // What Restore() will probably be called with, while images are shipped.
  void Expect(const v1::RestoreRequest& request);
  absl::Status Restore(const v1::RestoreRequest& request,
                       const IsCancelled& is_cancelled);
  absl::Status Commit(const IsCancelled& is_cancelled);
  absl::Status Abort(const std::string& reason,
                     const IsCancelled& is_cancelled);
  absl::Status Release(const IsCancelled& is_cancelled);

  v1::GetMigrationResponse Describe();
  DestinationRecorded recorded() const;
  // When the record was last written.
  absl::Time changed() const;

 private:
  IncomingMigration(std::string directory, std::unique_ptr<RestoreWork> work,
                    v1::DestinationRecord record, DestinationRecorded recorded);

  absl::Status Ask(MigrationRequest request, const IsCancelled& is_cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WaitFor(MigrationRequest request,
                       const IsCancelled& is_cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Refusal() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Calls what is not a step of the protocol, without the lock.
  void Aside(const char* what, absl::FunctionRef<absl::Status()> work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether there was anything to be done before what may be asked for next.
  bool PrepareAhead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The thread.
  void Run();
  // Has those who ask answered, if they can be; not for long.
  void LetAnswer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DoStep(DestinationStep step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Record(DestinationRecorded recorded)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Work(DestinationStep step, const v1::RestoreRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);

  const std::string directory_;
  const std::unique_ptr<RestoreWork> work_;

  absl::Mutex shipping_;
  mutable absl::Mutex mu_;
  absl::CondVar changed_;  // Something that somebody may wait for.
  DestinationProtocol protocol_ ABSL_GUARDED_BY(mu_);
  v1::DestinationRecord record_ ABSL_GUARDED_BY(mu_);
  // Nobody wants what is being restored.
  std::atomic<bool> is_cancelled_{false};
  bool forgotten_ ABSL_GUARDED_BY(mu_) = false;  // Of what was aborted.
  bool is_ready_ ABSL_GUARDED_BY(mu_) = false;   // Or cannot be.
  // To be told to the work.
  std::optional<v1::RestoreRequest> expected_ ABSL_GUARDED_BY(mu_);
  int asking_ ABSL_GUARDED_BY(mu_) = 0;  // How many wait.
  int failures_ ABSL_GUARDED_BY(mu_) = 0;
  int failures_in_a_row_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status last_failure_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: uses all of it.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATION_H_
