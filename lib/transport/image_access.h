#ifndef PAGELIFT_LIB_TRANSPORT_IMAGE_ACCESS_H_
#define PAGELIFT_LIB_TRANSPORT_IMAGE_ACCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/source/page_store.h"
#include "lib/transport/access_policy.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/image_catalog.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// The way to a catalog for clients: with what each may see of it. What serves
// clients has no other.
//
// Thread-safe; may be copied.
class ImageAccess {
 public:
  // Both must outlive it. Null: every client may open every image.
  ImageAccess(ImageCatalog& catalog,  // NOLINT: a catalog is all of it.
              AccessPolicyFile* policy = nullptr)
      : catalog_(catalog), policy_(policy) {}

  // As ImageCatalog's, and kPermissionDenied for an image that `client` may not
  // open, whether there is one of that name or not. Errors are for the client
  // to see, and name nothing that it may not.
  std::vector<std::string> Names(const ClientIdentity& client) const;
  absl::StatusOr<std::shared_ptr<const PageStore>> Open(
      const ClientIdentity& client, const std::string& name) const;
  absl::StatusOr<WorkingSetFile> OpenWorkingSet(const ClientIdentity& client,
                                                const std::string& name) const;

 private:
  absl::Status Check(const ClientIdentity& client,
                     const std::string& name) const;
  absl::Status Explain(const absl::Status& error, const ClientIdentity& client,
                       const std::string& name) const;

  ImageCatalog& catalog_;
  AccessPolicyFile* const policy_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_IMAGE_ACCESS_H_
