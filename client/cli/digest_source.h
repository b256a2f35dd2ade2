#ifndef PAGELIFT_CLIENT_CLI_DIGEST_SOURCE_H_
#define PAGELIFT_CLIENT_CLI_DIGEST_SOURCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "lib/source/page_digests.h"

namespace pagelift {

// All pages of a source, read.
struct DigestedSource {
  std::string url;
  std::string content_id;
  PageDigests digests;
};

// Reads them; tells on a terminal how far it is. `url` as in source_url.h.
absl::StatusOr<DigestedSource> DigestSource(const std::string& url);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_DIGEST_SOURCE_H_
