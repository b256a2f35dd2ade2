#include "daemon/pager/source/image_directory_source.h"

#include <utility>

#include "absl/time/clock.h"
#include "lib/base/status_macros.h"
#include "lib/workingset/combine_recordings.h"

namespace pagelift {

ImageDirectorySource::ImageDirectorySource(
    std::shared_ptr<const PageStore> image, WorkingSetFile file,
    KeepWorkingSets keep)
    : StoreSource(std::move(image)), file_(std::move(file)), keep_(keep) {}

absl::StatusOr<Recording> ImageDirectorySource::WorkingSet() const {
  ASSIGN_OR_RETURN(const auto working_set, file_.Read());
  Recording order = CombineRecordings(working_set.recordings).order;
  if (order.empty()) return absl::NotFoundError("no recording of this image");
  return order;
}

absl::Status ImageDirectorySource::KeepRecording(const Recording& recording) {
  if (keep_ == KeepWorkingSets::kNo) {
    return absl::FailedPreconditionError(
        "this pager writes no working sets: it was started without "
        "--keep-working-sets");
  }
  return file_.Add(recording, absl::Now());
}

}  // namespace pagelift
