#include "lib/transport/remote_working_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/transport/grpc_status.h"
#include "lib/workingset/recording_proto.h"

namespace pagelift {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(5);

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
}

absl::Status Explain(const grpc::Status& status, const std::string& image) {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(
        "the page server knows nothing of working sets: it is older than this "
        "program");
  }
  return Annotate(FromGrpc(status), absl::StrCat("working set of ", image));
}

}  // namespace

RemoteWorkingSet::RemoteWorkingSet(
    const std::shared_ptr<grpc::Channel>& channel, std::string image,
    std::string content_id, PageCount page_count)
    : stub_(v1::PageServer::NewStub(channel)),
      image_(std::move(image)),
      content_id_(std::move(content_id)),
      page_count_(page_count) {}

absl::StatusOr<Recording> RemoteWorkingSet::Order() const {
  ASSIGN_OR_RETURN(const v1::GetWorkingSetResponse response, Get());
  ASSIGN_OR_RETURN(Recording order,
                   DecodeRecording(response.order(), page_count_));
  if (order.empty()) {
    return absl::NotFoundError(absl::StrCat("no recording of ", image_));
  }
  return order;
}

absl::StatusOr<WorkingSetSummary> RemoteWorkingSet::Summary() const {
  ASSIGN_OR_RETURN(const v1::GetWorkingSetResponse response, Get());
  if (static_cast<size_t>(response.recordings_size()) >
      WorkingSet::kMostRecordings) {
    return absl::InvalidArgumentError(absl::StrCat("the page server tells of ",
                                                   response.recordings_size(),
                                                   " recordings"));
  }
  WorkingSetSummary summary;
  for (const auto& kept : response.recordings()) {
    summary.recordings.push_back(
        {PageCount(kept.page_count()),
         absl::FromUnixSeconds(kept.kept_unix_seconds())});
  }
  summary.shared = PageCount(response.shared_page_count());
  summary.ignored = response.ignored();
  return summary;
}

absl::Status RemoteWorkingSet::Add(const Recording& recording) const {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::AddRecordingRequest request;
  request.set_image(image_);
  request.set_content_id(content_id_);
  *request.mutable_recording() = EncodeRecording(recording);
  v1::AddRecordingResponse response;
  return Explain(stub_->AddRecording(&context, request, &response), image_);
}

absl::Status RemoteWorkingSet::Drop() const {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DropWorkingSetRequest request;
  request.set_image(image_);
  request.set_content_id(content_id_);
  v1::DropWorkingSetResponse response;
  return Explain(stub_->DropWorkingSet(&context, request, &response), image_);
}

absl::StatusOr<v1::GetWorkingSetResponse> RemoteWorkingSet::Get() const {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetWorkingSetRequest request;
  request.set_image(image_);
  request.set_content_id(content_id_);
  v1::GetWorkingSetResponse response;
  RETURN_IF_ERROR(
      Explain(stub_->GetWorkingSet(&context, request, &response), image_));
  return response;
}

}  // namespace pagelift
