#ifndef PAGELIFT_DAEMON_PAGE_SERVER_IMAGE_DIRECTORY_CATALOG_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_IMAGE_DIRECTORY_CATALOG_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/file_identity.h"
#include "lib/base/unique_fd.h"
#include "lib/source/page_store.h"
#include "lib/transport/image_catalog.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// Checkpoints in directories: some by name, and all that lie below a root,
// named by their path from there.
//
// A checkpoint is opened when it is first asked for, and anew when its
// inventory.img is another file than it was then; whoever still uses the former
// one keeps it. Names come from the network: none becomes a path unchecked, and
// below the root the kernel sees to it that none leads out.
//
// Thread-safe. Opening one image does not hold up the others.
class ImageDirectoryCatalog : public ImageCatalog {
 public:
  // Directory by image name. They need not exist yet.
  using NamedDirectories = std::map<std::string, std::string>;

  // `root` may be empty. Fails if it cannot be opened, or is a checkpoint
  // itself.
  static absl::StatusOr<std::unique_ptr<ImageDirectoryCatalog>> Create(
      NamedDirectories named, std::string root);

  std::vector<std::string> Names() const override;
  absl::StatusOr<std::shared_ptr<const PageStore>> Open(
      const std::string& name) override;
  absl::StatusOr<WorkingSetFile> OpenWorkingSet(
      const std::string& name) override;

 private:
  // The latest store of one image.
  struct Entry {
    absl::Mutex mu;  // Held while it is opened.
    FileIdentity identity ABSL_GUARDED_BY(mu);
    std::weak_ptr<const PageStore> store ABSL_GUARDED_BY(mu);
  };

  ImageDirectoryCatalog(NamedDirectories named, std::string root,
                        UniqueFd root_fd);

  absl::StatusOr<UniqueFd> OpenDirectory(const std::string& name) const;
  absl::Status NoSuchImage(const std::string& name) const;
  // What people know the image's directory as.
  std::string PathOf(const std::string& name) const;
  std::shared_ptr<Entry> EntryOf(const std::string& name)
      ABSL_LOCKS_EXCLUDED(mu_);
  void KeepOpen(std::shared_ptr<const PageStore> store)
      ABSL_LOCKS_EXCLUDED(mu_);

  const NamedDirectories named_;
  const std::string root_;
  const UniqueFd root_fd_;

  absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<Entry>> entries_
      ABSL_GUARDED_BY(mu_);
  // Used last, the latest first: these stay open without a client.
  std::deque<std::shared_ptr<const PageStore>> recent_ ABSL_GUARDED_BY(mu_);
};

// kInvalidArgument unless `name` may name an image: printable ASCII, a relative
// path without empty, "." and ".." parts, not too long.
absl::Status CheckImageName(absl::string_view name);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_IMAGE_DIRECTORY_CATALOG_H_
