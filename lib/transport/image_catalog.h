#ifndef PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_
#define PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/source/page_store.h"

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
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_IMAGE_CATALOG_H_
