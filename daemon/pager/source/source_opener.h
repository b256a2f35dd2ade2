#ifndef PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_
#define PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/source/page_source.h"
#include "lib/transport/compression_choice.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

struct SourceOptions {
  // Whether this process may write beside images of this host.
  KeepWorkingSets keep = KeepWorkingSets::kNo;
  // Of what is prefetched from page servers.
  Compression compression = Compression::kAuto;
};

// Opens what a source's URL names (lib/transport/source_url.h): an image
// directory of this host within this process, or an image of one or several
// page servers. The one place that knows all kinds of sources. Thread-safe; may
// take seconds.
absl::StatusOr<std::unique_ptr<PageSource>> OpenSource(
    const std::string& url, const SourceOptions& options = {});

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_
