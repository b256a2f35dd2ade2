#ifndef PAGELIFT_LIB_TRANSPORT_SOURCE_ENDPOINTS_H_
#define PAGELIFT_LIB_TRANSPORT_SOURCE_ENDPOINTS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/source_url.h"

namespace pagelift {

// The page servers of `url`, kPageServer. The error says what is wrong with our
// certificate, or that another host must not be asked in plain text.
absl::StatusOr<std::vector<Endpoint>> EndpointsOf(const SourceUrl& url);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SOURCE_ENDPOINTS_H_
