#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_HOST_SOURCE_WORK_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_HOST_SOURCE_WORK_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/migration/answers/memory_answers.h"
#include "daemon/migration/outgoing/migration_catalog.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "daemon/migration/outgoing/source_work.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/frozen_tree.h"
#include "daemon/migration/parked/parked_dump.h"
#include "daemon/migration/parked/parked_store.h"
#include "daemon/migration/parked/spool.h"
#include "daemon/migration/parked/spooling.h"
#include "daemon/migration/parked/tree_pages.h"
#include "daemon/migration/wire/migration_client.h"
#include "daemon/page_server/page_server.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/process/process_name.h"
#include "lib/source/image_description.h"
#include "lib/tls/tls_credentials.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {

// What a migration does on its source host: parks the tree, ships its images,
// serves its pages, and in the end lets it go or has it killed. What the next
// worker needs is in the migration's directory, before it is needed.
class HostSourceWork : public SourceWork {
 public:
  // With what is there of an earlier worker. `guard` is ours.
  static absl::StatusOr<std::unique_ptr<HostSourceWork>> Open(
      const v1::MigrationPlan& plan, MigrationPlace place,
      const ProcessName& guard);

  absl::Status Do(SourceStep step) override;
  void Cancel() override;
  void AddTo(v1::SourceRecord* record) override ABSL_LOCKS_EXCLUDED(mu_);
  void Describe(v1::MigrationProgress* progress) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // Removes what is of no use any more when all is done.
  absl::Status Forget();
  ~HostSourceWork() override;

 private:
  HostSourceWork(const v1::MigrationPlan& plan, MigrationPlace place,
                 const ProcessName& guard,
                 std::shared_ptr<TlsCredentials> client_tls,
                 std::shared_ptr<TlsCredentials> server_tls, UniqueFd cancel);

  absl::Status Prepare();
  absl::Status Park();
  absl::Status Ship();
  absl::Status Restore();
  v1::RestoreRequest WhatToRestore() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Fence();
  absl::Status Commit();
  absl::Status SpoolAll();
  absl::Status AwaitDrained();
  absl::Status LetGo();

  // What spares CRIU looking at memory, if it can be had.
  void PrepareAnswers();
  // A criu that has done all that it can do while the tree runs.
  absl::Status StartDump();
  // kUnimplemented: it is to be dumped without answers; it goes on meanwhile.
  absl::Status ParkOnce();
  // What a dead worker has left.
  absl::Status Adopt();
  absl::Status Note();
  // That the process of the plan is not there any more.
  absl::Status NotTheSame() const;
  absl::Status OpenImages() ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::unique_ptr<Spool>> OpenSpool(
      const ImageDescription& description);
  bool WantsSpool() const {
    return plan_.keep_in_memory() || !plan_.spool_directory().empty();
  }
  // What SIGCONT from outside takes away: before the tree is let go by CRIU it
  // is to be fenced again.
  void KeepFenced();
  // One that was continued while nobody held it is not what its images are any
  // more, and must never run here again.
  absl::Status CheckReopened();
  // Copies on; an error says why not.
  absl::Status GoOnSpooling() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status StartServing() ABSL_LOCKS_EXCLUDED(mu_);
  // Asks the destination; what it said last stays known.
  absl::StatusOr<v1::GetMigrationResponse> Ask() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the destination needs no page any more.
  absl::StatusOr<bool> IsDrained() ABSL_LOCKS_EXCLUDED(mu_);
  // kCancelled, or OK when so long has passed.
  absl::Status Pause(absl::Duration time);
  // Kills the tree, by CRIU if that is there.
  absl::Status EndTree();
  absl::Duration Patience() const;

  static constexpr absl::Duration kKillPatience = absl::Seconds(30);

  const v1::MigrationPlan plan_;
  const MigrationPlace place_;
  const ProcessName guard_;
  const std::shared_ptr<TlsCredentials> server_tls_;
  const UniqueFd cancel_;  // An eventfd.
  MigrationClient client_;
  MigrationCatalog catalog_;

  // Of the thread that does the steps.
  v1::SourceDescriptors note_;
  std::unique_ptr<MemoryAnswers> answers_;
  std::optional<CriuLeash> leash_;
  std::optional<ParkedDump> dump_;
  std::shared_ptr<const FrozenTree> tree_;
  std::unique_ptr<const TreePages> pages_;
  std::shared_ptr<Spool> spool_;
  std::unique_ptr<Spooling> spooling_;
  std::unique_ptr<PageServer> server_;  // Serves from what is above.

  absl::Mutex mu_;
  std::string listens_on_ ABSL_GUARDED_BY(mu_);
  PageCount page_count_ ABSL_GUARDED_BY(mu_);
  std::string content_id_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Spool> spool_to_tell_of_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> spooled_ ABSL_GUARDED_BY(mu_);
  v1::GetMigrationResponse destination_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_HOST_SOURCE_WORK_H_
