#ifndef PAGELIFT_CLIENT_CLI_WORKING_SET_PLACE_H_
#define PAGELIFT_CLIENT_CLI_WORKING_SET_PLACE_H_

#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/source_url.h"
#include "lib/workingset/working_set.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// Where the working set of a source is kept: in an image directory of this
// host, or by a page server. Thread-compatible.
class WorkingSetPlace {
 public:
  // Waits for a page server for some seconds.
  static absl::StatusOr<WorkingSetPlace> Open(const SourceUrl& source);

  const std::string& content_id() const { return content_id_; }
  PageCount image_pages() const { return image_pages_; }

  absl::StatusOr<WorkingSetSummary> Summary() const;
  absl::Status Drop() const;

 private:
  using Keeper = std::variant<WorkingSetFile, std::unique_ptr<RemoteSource>>;

  WorkingSetPlace(std::string content_id, PageCount image_pages, Keeper keeper);

  std::string content_id_;
  PageCount image_pages_;
  Keeper keeper_;
};

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_WORKING_SET_PLACE_H_
