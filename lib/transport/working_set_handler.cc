#include "lib/transport/working_set_handler.h"

#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/workingset/combine_recordings.h"
#include "lib/workingset/recording_proto.h"

namespace pagelift {

WorkingSetHandler::WorkingSetHandler(ImageAccess images, KeepWorkingSets keep)
    : images_(images), keep_(keep) {}

absl::Status WorkingSetHandler::Get(const ClientIdentity& client,
                                    const v1::GetWorkingSetRequest& request,
                                    v1::GetWorkingSetResponse* response) const {
  ASSIGN_OR_RETURN(const WorkingSetFile file,
                   Open(client, request.image(), request.content_id()));
  ASSIGN_OR_RETURN(const WorkingSet working_set, file.Read());
  const CombinedRecordings combined = CombineRecordings(working_set.recordings);
  *response->mutable_order() = EncodeRecording(combined.order);
  response->set_shared_page_count(combined.shared.raw());
  for (const KeptRecording& kept : working_set.recordings) {
    v1::GetWorkingSetResponse::Kept* message = response->add_recordings();
    message->set_page_count(kept.recording.page_count().raw());
    message->set_kept_unix_seconds(absl::ToUnixSeconds(kept.kept));
  }
  response->set_ignored(working_set.ignored);
  return absl::OkStatus();
}

absl::Status WorkingSetHandler::Add(
    const ClientIdentity& client,
    const v1::AddRecordingRequest& request) const {
  ASSIGN_OR_RETURN(const WorkingSetFile file,
                   OpenToWrite(client, request.image(), request.content_id()));
  ASSIGN_OR_RETURN(const Recording recording,
                   DecodeRecording(request.recording(), file.page_count()));
  if (recording.empty()) {
    return absl::InvalidArgumentError("a recording of no page");
  }
  RETURN_IF_ERROR(file.Add(recording, absl::Now()));
  LOG(Info) << "keeps a recording of " << recording.page_count().raw()
            << " pages of image " << request.image();
  return absl::OkStatus();
}

absl::Status WorkingSetHandler::Drop(
    const ClientIdentity& client,
    const v1::DropWorkingSetRequest& request) const {
  ASSIGN_OR_RETURN(const WorkingSetFile file,
                   OpenToWrite(client, request.image(), request.content_id()));
  RETURN_IF_ERROR(file.Drop());
  LOG(Info) << "dropped the working set of image " << request.image();
  return absl::OkStatus();
}

absl::StatusOr<WorkingSetFile> WorkingSetHandler::Open(
    const ClientIdentity& client, const std::string& image,
    const std::string& content_id) const {
  ASSIGN_OR_RETURN(WorkingSetFile file, images_.OpenWorkingSet(client, image));
  RETURN_IF_ERROR(CheckContentId(image, content_id, file.content_id()));
  return file;
}

absl::StatusOr<WorkingSetFile> WorkingSetHandler::OpenToWrite(
    const ClientIdentity& client, const std::string& image,
    const std::string& content_id) const {
  if (keep_ == KeepWorkingSets::kNo) {
    return absl::FailedPreconditionError(
        "this page server writes no working sets: it was started without "
        "--keep-working-sets");
  }
  return Open(client, image, content_id);
}

}  // namespace pagelift
