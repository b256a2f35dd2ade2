#include "client/cli/working_set_place.h"

#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status_macros.h"
#include "lib/image/checkpoint_image.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/source_endpoints.h"
#include "lib/workingset/combine_recordings.h"

namespace pagelift {
namespace {

constexpr absl::Duration kOpenDeadline = absl::Seconds(10);

WorkingSetSummary Summarize(WorkingSet working_set) {
  WorkingSetSummary summary;
  for (const KeptRecording& kept : working_set.recordings) {
    summary.recordings.push_back({kept.recording.page_count(), kept.kept});
  }
  summary.shared = CombineRecordings(working_set.recordings).shared;
  summary.ignored = std::move(working_set.ignored);
  return summary;
}

}  // namespace

absl::StatusOr<WorkingSetPlace> WorkingSetPlace::Open(const SourceUrl& source) {
  if (source.kind == SourceUrl::Kind::kCriuDirectory) {
    ASSIGN_OR_RETURN(
        const std::shared_ptr<const CheckpointImage> image,
        CheckpointImage::Open(source.directory, OpenMode::kLayoutOnly));
    const ImageDescription& description = image->description();
    ASSIGN_OR_RETURN(
        WorkingSetFile file,
        WorkingSetFile::Open(source.directory, description.content_id,
                             description.page_count));
    return WorkingSetPlace(description.content_id, description.page_count,
                           std::move(file));
  }
  if (source.addresses.size() != 1) {
    return absl::InvalidArgumentError(
        "every page server keeps what it was told of restores: name one");
  }
  KeepGrpcToTheEnd();
  ASSIGN_OR_RETURN(const std::vector<Endpoint> endpoints, EndpointsOf(source));
  ASSIGN_OR_RETURN(
      std::unique_ptr<RemoteSource> server,
      RemoteSource::Open(endpoints[0], source.image, kOpenDeadline));
  std::string content_id = server->description().content_id;
  const PageCount image_pages = server->description().page_count;
  return WorkingSetPlace(std::move(content_id), image_pages, std::move(server));
}

WorkingSetPlace::WorkingSetPlace(std::string content_id, PageCount image_pages,
                                 Keeper keeper)
    : content_id_(std::move(content_id)),
      image_pages_(image_pages),
      keeper_(std::move(keeper)) {}

absl::StatusOr<WorkingSetSummary> WorkingSetPlace::Summary() const {
  if (const auto* server =
          std::get_if<std::unique_ptr<RemoteSource>>(&keeper_)) {
    return (*server)->working_set().Summary();
  }
  ASSIGN_OR_RETURN(WorkingSet working_set,
                   std::get<WorkingSetFile>(keeper_).Read());
  return Summarize(std::move(working_set));
}

absl::Status WorkingSetPlace::Drop() const {
  if (const auto* server =
          std::get_if<std::unique_ptr<RemoteSource>>(&keeper_)) {
    return (*server)->working_set().Drop();
  }
  return std::get<WorkingSetFile>(keeper_).Drop();
}

}  // namespace pagelift
