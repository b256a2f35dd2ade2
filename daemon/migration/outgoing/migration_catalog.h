#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_CATALOG_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_CATALOG_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "lib/transport/image_catalog.h"

namespace pagelift {

// What the server of a migration serves: one image, once there is one. Its name
// is told to the destination only, and is not listed: whoever knows it may read
// the memory of the process.
//
// Thread-safe.
class MigrationCatalog : public ImageCatalog {
 public:
  explicit MigrationCatalog(std::string name) : name_(std::move(name)) {}

  void Put(std::shared_ptr<const PageStore> store);

  std::vector<std::string> Names() const override { return {}; }
  absl::StatusOr<std::shared_ptr<const PageStore>> Open(
      const std::string& name) override;
  absl::StatusOr<WorkingSetFile> OpenWorkingSet(
      const std::string& name) override;

 private:
  const std::string name_;
  absl::Mutex mu_;
  std::shared_ptr<const PageStore> store_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_MIGRATION_CATALOG_H_
