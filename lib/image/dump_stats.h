#ifndef PAGELIFT_LIB_IMAGE_DUMP_STATS_H_
#define PAGELIFT_LIB_IMAGE_DUMP_STATS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// stats-dump: how a dump went. Restore does not need it.
struct DumpStats {
  PageCount task_pages;    // That the dump has written, or sent away.
  PageCount shared_pages;  // The same, of shared memory.
};

absl::StatusOr<DumpStats> DecodeDumpStats(const std::string& name,
                                          std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_DUMP_STATS_H_
