#ifndef PAGELIFT_LIB_TRANSPORT_REMOTE_WORKING_SET_H_
#define PAGELIFT_LIB_TRANSPORT_REMOTE_WORKING_SET_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"
#include "lib/workingset/working_set.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {

// What a page server keeps of the restores of one image.
//
// Thread-safe. Every call waits for the server, for 5 seconds at most, and
// fails with what is wrong, for people. What the server says is checked.
class RemoteWorkingSet {
 public:
  // The image `image`, with that content id and so many pages, at `channel`.
  RemoteWorkingSet(const std::shared_ptr<grpc::Channel>& channel,
                   std::string image, std::string content_id,
                   PageCount page_count);

  // The combined order; kNotFound if there are no recordings.
  absl::StatusOr<Recording> Order() const;
  absl::StatusOr<WorkingSetSummary> Summary() const;

  absl::Status Add(const Recording& recording) const;
  absl::Status Drop() const;

 private:
  absl::StatusOr<v1::GetWorkingSetResponse> Get() const;

  const std::unique_ptr<v1::PageServer::Stub> stub_;
  const std::string image_;
  const std::string content_id_;
  const PageCount page_count_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_REMOTE_WORKING_SET_H_
