#ifndef PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_
#define PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/source/page_store.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// The images that a page server offers. Thread-safe.
class ImageCatalog {
 public:
  virtual ~ImageCatalog() = default;

  // Names, sorted.
  virtual std::vector<std::string> Names() const = 0;

  // kNotFound names what there is; a broken image fails with what is broken and
  // leaves the others alone.
  virtual absl::StatusOr<std::shared_ptr<const PageStore>> Open(
      const std::string& name) = 0;

  // Where the working set of an image is kept, or would be. Fails as Open().
  virtual absl::StatusOr<WorkingSetFile> OpenWorkingSet(
      const std::string& name) = 0;
};

// A name that somebody sent, for messages: short, in quotes and printable.
std::string QuotedImageName(absl::string_view name);

// kNotFound, with the first of `names`, which there are.
absl::Status NoSuchImageError(absl::string_view name,
                              std::vector<std::string> names);

// What a client is told of a catalog's error: a broken image is a fact about
// the server's files, whatever the code was.
absl::Status ToClient(const absl::Status& error);

// kFailedPrecondition unless the checkpoint that a client means by `name` is
// the one that is there.
absl::Status CheckContentId(const std::string& name, const std::string& meant,
                            const std::string& there);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_
