#ifndef PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_
#define PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/transport/image_catalog.h"
#include "lib/workingset/working_set.h"
#include "lib/workingset/working_set_file.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// The server's side of the calls about working sets; their errors are those of
// page_server.proto.
//
// Thread-safe.
class WorkingSetHandler {
 public:
  // `catalog` must outlive it.
  WorkingSetHandler(ImageCatalog& catalog, KeepWorkingSets keep);

  absl::Status Get(const v1::GetWorkingSetRequest& request,
                   v1::GetWorkingSetResponse* response) const;
  absl::Status Add(const v1::AddRecordingRequest& request) const;
  absl::Status Drop(const v1::DropWorkingSetRequest& request) const;

 private:
  absl::StatusOr<WorkingSetFile> Open(const std::string& image,
                                      const std::string& content_id) const;
  // The same, if anything may be written.
  absl::StatusOr<WorkingSetFile> OpenToWrite(
      const std::string& image, const std::string& content_id) const;

  ImageCatalog& catalog_;
  const KeepWorkingSets keep_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_
