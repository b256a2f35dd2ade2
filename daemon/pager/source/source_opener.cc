#include "daemon/pager/source/source_opener.h"

#include <utility>

#include "absl/time/time.h"
#include "lib/base/status_macros.h"
#include "lib/image/checkpoint_image.h"
#include "lib/source/store_source.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/source_url.h"

namespace pagelift {
namespace {

constexpr absl::Duration kOpenDeadline = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<PageSource>> OpenSource(const std::string& url) {
  ASSIGN_OR_RETURN(SourceUrl parsed, SourceUrl::Parse(url));
  if (parsed.kind == SourceUrl::Kind::kCriuDirectory) {
    ASSIGN_OR_RETURN(std::shared_ptr<const CheckpointImage> image,
                     CheckpointImage::Open(parsed.directory));
    return std::unique_ptr<PageSource>(
        std::make_unique<StoreSource>(std::move(image)));
  }
  ASSIGN_OR_RETURN(
      std::unique_ptr<RemoteSource> source,
      RemoteSource::Open(parsed.address, parsed.image, kOpenDeadline));
  return std::unique_ptr<PageSource>(std::move(source));
}

}  // namespace pagelift
