#ifndef PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_
#define PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/source/page_source.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// Opens what a source's URL names (lib/transport/source_url.h): an image
// directory of this host within this process, or an image of a page server. The
// one place that knows all kinds of sources. `keep`: whether this process may
// write beside images of this host. Thread-safe; may take seconds.
absl::StatusOr<std::unique_ptr<PageSource>> OpenSource(
    const std::string& url, KeepWorkingSets keep = KeepWorkingSets::kNo);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SOURCE_SOURCE_OPENER_H_
