#include "daemon/migration/outgoing/migration_catalog.h"

namespace pagelift {

void MigrationCatalog::Put(std::shared_ptr<const PageStore> store) {
  absl::MutexLock lock(&mu_);
  store_ = std::move(store);
}

absl::StatusOr<std::shared_ptr<const PageStore>> MigrationCatalog::Open(
    const std::string& name) {
  absl::MutexLock lock(&mu_);
  if (name != name_ || store_ == nullptr) return NoSuchImageError(name, {});
  return store_;
}

absl::StatusOr<WorkingSetFile> MigrationCatalog::OpenWorkingSet(
    const std::string& name) {
  return NoSuchImageError(name, {});
}

}  // namespace pagelift
