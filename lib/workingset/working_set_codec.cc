#include "lib/workingset/working_set_codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lib/workingset/recording_proto.h"
#include "pagelift/v1/working_set.pb.h"

namespace pagelift {

std::string EncodeWorkingSet(const WorkingSet& working_set,
                             const std::string& content_id) {
  v1::WorkingSetFile file;
  file.set_content_id(content_id);
  for (const KeptRecording& kept : working_set.recordings) {
    v1::KeptRecording* message = file.add_recordings();
    *message->mutable_recording() = EncodeRecording(kept.recording);
    message->set_kept_unix_seconds(absl::ToUnixSeconds(kept.kept));
  }
  return file.SerializeAsString();
}

absl::StatusOr<WorkingSet> DecodeWorkingSet(absl::string_view bytes,
                                            const std::string& content_id,
                                            PageCount page_count) {
  v1::WorkingSetFile file;
  if (bytes.size() > kMostWorkingSetBytes ||
      !file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("it is damaged");
  }
  if (file.content_id() != content_id) {
    return absl::FailedPreconditionError("it is of another checkpoint");
  }
  const auto count = static_cast<size_t>(file.recordings_size());
  if (count > WorkingSet::kMostRecordings) {
    return absl::DataLossError(absl::StrCat("it holds ", count, " recordings"));
  }
  WorkingSet working_set;
  for (const v1::KeptRecording& message : file.recordings()) {
    absl::StatusOr<Recording> recording =
        DecodeRecording(message.recording(), page_count);
    if (!recording.ok()) {
      return absl::DataLossError(
          absl::StrCat("it holds ", recording.status().message()));
    }
    working_set.recordings.push_back(
        {*std::move(recording),
         absl::FromUnixSeconds(message.kept_unix_seconds())});
  }
  return working_set;
}

}  // namespace pagelift
