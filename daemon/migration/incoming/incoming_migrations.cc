#include "daemon/migration/incoming/incoming_migrations.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/private_directory.h"

namespace pagelift {
namespace {

constexpr size_t kIdLength = 32;
constexpr absl::Duration kRemembered = absl::Hours(24);

bool IsOver(const IncomingMigration& migration) {
  const DestinationRecorded recorded = migration.recorded();
  return recorded == DestinationRecorded::kReleased ||
         recorded == DestinationRecorded::kAborted;
}

}  // namespace

bool IsMigrationId(const std::string& id) {
  return id.size() == kIdLength &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return absl::ascii_isxdigit(c) && !absl::ascii_isupper(c);
         });
}

absl::StatusOr<std::unique_ptr<IncomingMigrations>> IncomingMigrations::Open(
    std::string directory, MakeWork make_work) {
  RETURN_IF_ERROR(MakePrivateDirectory(directory));
  std::unique_ptr<IncomingMigrations> migrations(
      new IncomingMigrations(std::move(directory), std::move(make_work)));
  RETURN_IF_ERROR(migrations->OpenAll());
  return migrations;
}

absl::Status IncomingMigrations::OpenAll() {
  absl::MutexLock lock(&mu_);
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory_, error)) {
    const std::string id = entry.path().filename().string();
    if (!IsMigrationId(id)) continue;
    absl::Status status = OpenOne(id).status();
    if (!status.ok()) LOG(Error) << status.message();
  }
  if (error) return SysErrorOf(error.value(), "read ", directory_);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<IncomingMigration>> IncomingMigrations::OpenOne(
    const std::string& id) {
  const std::string directory = DirectoryOf(id);
  ASSIGN_OR_RETURN(std::shared_ptr<IncomingMigration> migration,
                   IncomingMigration::Open(directory, make_work_(directory)));
  migrations_[id] = migration;
  return migration;
}

absl::StatusOr<std::shared_ptr<IncomingMigration>> IncomingMigrations::Find(
    const std::string& id) const {
  if (!IsMigrationId(id)) {
    return absl::InvalidArgumentError(
        "the id of a migration is 32 hexadecimal digits");
  }
  absl::MutexLock lock(&mu_);
  const auto found = migrations_.find(id);
  if (found == migrations_.end()) {
    return absl::NotFoundError(
        absl::StrCat("no migration ", id, " has come here"));
  }
  return found->second;
}

absl::StatusOr<std::shared_ptr<IncomingMigration>>
IncomingMigrations::FindOrMake(const std::string& id) {
  absl::StatusOr<std::shared_ptr<IncomingMigration>> found = Find(id);
  if (!absl::IsNotFound(found.status())) return found;
  absl::MutexLock lock(&mu_);
  if (const auto it = migrations_.find(id); it != migrations_.end()) {
    return it->second;
  }
  RemoveOld();
  RETURN_IF_ERROR(MakePrivateDirectory(DirectoryOf(id)));
  return OpenOne(id);
}

std::string IncomingMigrations::DirectoryOf(const std::string& id) const {
  return absl::StrCat(directory_, "/", id);
}

void IncomingMigrations::RemoveOld() {
  const absl::Time before = absl::Now() - kRemembered;
  for (auto it = migrations_.begin(); it != migrations_.end();) {
    const auto next = std::next(it);
    if (IsOver(*it->second) && it->second->changed() < before) {
      std::error_code ignored;
      std::filesystem::remove_all(DirectoryOf(it->first), ignored);
      migrations_.erase(it);
    }
    it = next;
  }
}

}  // namespace pagelift
