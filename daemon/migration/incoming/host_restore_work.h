#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_HOST_RESTORE_WORK_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_HOST_RESTORE_WORK_H_

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/cli/daemon_client.h"
#include "daemon/migration/incoming/restore_work.h"
#include "daemon/migration/receiver/held_restore.h"

namespace pagelift {

// What a migration needs of this host: a session of its pageliftd, and a criu
// restore that is held. All that matters is in the migration's directory:
//
//   images   what was shipped
//   hold     the held restore's
//   work     where CRIU and pageliftd meet, and CRIU's log
//   session  the name of the session
//
// Describe() may be called by any thread, as may MayBeLost().
class HostRestoreWork : public RestoreWork {
 public:
  struct Options {
    std::string control;  // Of pageliftd.
    std::string criu;
    std::string tls;   // Directory; empty: pages come in plain text.
    std::string hook;  // A program; empty: none.
  };

  HostRestoreWork(std::string directory, Options options)
      : directory_(std::move(directory)), options_(std::move(options)) {}

  absl::Status GetReady() override;
  absl::Status Expect(const v1::RestoreRequest& request) override;
  absl::Status Restore(const v1::RestoreRequest& request,
                       const std::atomic<bool>& is_cancelled) override;
  absl::Status LetGo() override;
  absl::StatusOr<RestoreFound> Look() override;
  absl::Status CleanUp() override;
  absl::Status Forget() override;
  bool MayBeLost() override;
  void Describe(v1::GetMigrationResponse* response) override;

 private:
  std::string In(const char* name) const { return directory_ + "/" + name; }
  HeldRestore::Options HoldOptions() const;
  absl::StatusOr<HeldRestore> Adopt() const;
  absl::StatusOr<DaemonClient*> Daemon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // With a work directory that is empty.
  absl::Status OpenSession(const v1::RestoreRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);
  // If there is one, and `is` of it. Not OK does not matter.
  void CancelSessionIf(
      absl::FunctionRef<bool(const v1::SessionStatus& session)> is)
      ABSL_LOCKS_EXCLUDED(mu_);
  // kNotFound: it has ended, and is forgotten.
  absl::StatusOr<v1::SessionStatus> Session() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status RestoreInto(const v1::RestoreRequest& request,
                           const std::atomic<bool>& is_cancelled);
  absl::Status TellHook(const char* event) const;

  const std::string directory_;
  const Options options_;
  // For which there is a session already, as it is on the wire; or empty.
  std::string has_session_for_;

  absl::Mutex mu_;
  std::optional<DaemonClient> daemon_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_HOST_RESTORE_WORK_H_
