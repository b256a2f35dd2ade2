#ifndef PAGELIFT_DAEMON_PAGER_SOURCE_IMAGE_DIRECTORY_SOURCE_H_
#define PAGELIFT_DAEMON_PAGER_SOURCE_IMAGE_DIRECTORY_SOURCE_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/source/page_store.h"
#include "lib/source/store_source.h"
#include "lib/workingset/recording.h"
#include "lib/workingset/working_set.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// An image directory of this host as a page source, with the working set that
// lies in it. Thread-safe, as StoreSource.
class ImageDirectorySource : public StoreSource {
 public:
  // `file` is that of `image`. KeepRecording() is kFailedPrecondition unless
  // `keep` says that it may write.
  ImageDirectorySource(std::shared_ptr<const PageStore> image,
                       WorkingSetFile file, KeepWorkingSets keep);

  absl::StatusOr<Recording> WorkingSet() const override;
  absl::Status KeepRecording(const Recording& recording) override;

 private:
  const WorkingSetFile file_;
  const KeepWorkingSets keep_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SOURCE_IMAGE_DIRECTORY_SOURCE_H_
