#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATIONS_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATIONS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/migration/incoming/incoming_migration.h"
#include "daemon/migration/incoming/restore_work.h"

namespace pagelift {

// The migrations that come, or came, to this host, each in a directory of its
// id below one that is nobody else's. What is over stays for a day, so that a
// late message is known for what it is.
//
// Thread-safe.
class IncomingMigrations {
 public:
  // For the migration whose directory that is.
  using MakeWork =
      std::function<std::unique_ptr<RestoreWork>(const std::string& directory)>;

  // Goes on with those that are there; one that cannot be read is left alone,
  // and the log says why. Makes `directory` if it is missing.
  static absl::StatusOr<std::unique_ptr<IncomingMigrations>> Open(
      std::string directory, MakeWork make_work);

  // kInvalidArgument: no id. kNotFound: never heard of.
  absl::StatusOr<std::shared_ptr<IncomingMigration>> Find(
      const std::string& id) const;
  // The same, but makes it if there is none. Removes those that are long over.
  absl::StatusOr<std::shared_ptr<IncomingMigration>> FindOrMake(
      const std::string& id);

  std::string DirectoryOf(const std::string& id) const;

 private:
  IncomingMigrations(std::string directory, MakeWork make_work)
      : directory_(std::move(directory)), make_work_(std::move(make_work)) {}

  absl::Status OpenAll();
  absl::StatusOr<std::shared_ptr<IncomingMigration>> OpenOne(
      const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveOld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  const MakeWork make_work_;

  mutable absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<IncomingMigration>> migrations_
      ABSL_GUARDED_BY(mu_);
};

// Whether it is 32 hexadecimal digits, which as a name leads nowhere.
bool IsMigrationId(const std::string& id);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_INCOMING_MIGRATIONS_H_
