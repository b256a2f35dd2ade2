#include "daemon/pager/source/source_opener.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "daemon/pager/source/image_directory_source.h"
#include "lib/base/status_macros.h"
#include "lib/image/checkpoint_image.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/open_replicas.h"
#include "lib/transport/source_endpoints.h"
#include "lib/transport/source_url.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {
namespace {

constexpr absl::Duration kOpenDeadline = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<PageSource>> OpenSource(
    const std::string& url, const SourceOptions& options) {
  ASSIGN_OR_RETURN(SourceUrl parsed, SourceUrl::Parse(url));
  if (parsed.kind == SourceUrl::Kind::kCriuDirectory) {
    ASSIGN_OR_RETURN(std::shared_ptr<const CheckpointImage> image,
                     CheckpointImage::Open(parsed.directory));
    ASSIGN_OR_RETURN(
        WorkingSetFile file,
        WorkingSetFile::Open(parsed.directory, image->description().content_id,
                             image->description().page_count));
    return std::unique_ptr<PageSource>(std::make_unique<ImageDirectorySource>(
        std::move(image), std::move(file), options.keep));
  }
  ASSIGN_OR_RETURN(const std::vector<Endpoint> endpoints, EndpointsOf(parsed));
  return OpenReplicas(endpoints, parsed.image, kOpenDeadline,
                      options.compression);
}

}  // namespace pagelift
