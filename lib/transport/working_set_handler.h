#ifndef PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_
#define PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/image_access.h"
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
  WorkingSetHandler(ImageAccess images, KeepWorkingSets keep);

  absl::Status Get(const ClientIdentity& client,
                   const v1::GetWorkingSetRequest& request,
                   v1::GetWorkingSetResponse* response) const;
  absl::Status Add(const ClientIdentity& client,
                   const v1::AddRecordingRequest& request) const;
  absl::Status Drop(const ClientIdentity& client,
                    const v1::DropWorkingSetRequest& request) const;

 private:
  absl::StatusOr<WorkingSetFile> Open(const ClientIdentity& client,
                                      const std::string& image,
                                      const std::string& content_id) const;
  // The same, if anything may be written.
  absl::StatusOr<WorkingSetFile> OpenToWrite(
      const ClientIdentity& client, const std::string& image,
      const std::string& content_id) const;

  const ImageAccess images_;
  const KeepWorkingSets keep_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_WORKING_SET_HANDLER_H_
