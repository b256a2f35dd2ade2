#ifndef PAGELIFT_LIB_TRANSPORT_OPEN_REPLICAS_H_
#define PAGELIFT_LIB_TRANSPORT_OPEN_REPLICAS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/source/page_source.h"
#include "lib/transport/compression_choice.h"
#include "lib/transport/endpoint.h"

namespace pagelift {

// Opens `image` at all of `endpoints` (each once, at most kMostReplicas): a
// RemoteSource if it is one, else a ReplicatedSource of all of them. Those that
// cannot be reached, or do not have the image, are waited for, if another one
// has it; which of them answer in time is known after a second, mostly.
//
// Fails as RemoteSource::Open() if none answers within `deadline`;
// kFailedPrecondition if two have another checkpoint under that name.
absl::StatusOr<std::unique_ptr<PageSource>> OpenReplicas(
    const std::vector<Endpoint>& endpoints, const std::string& image,
    absl::Duration deadline, Compression compression);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_OPEN_REPLICAS_H_
