#ifndef PAGELIFT_DAEMON_MIGRATION_ANSWERS_FROZEN_MAPPINGS_H_
#define PAGELIFT_DAEMON_MIGRATION_ANSWERS_FROZEN_MAPPINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/migration/answers/vma_flag_names.h"
#include "daemon/migration/answers/vma_flag_reader.h"
#include "lib/memory/page.h"

namespace pagelift {

// The mappings of a process that stands still, for a reader of
// /proc/PID/smaps who wants no more than their flags.
struct FrozenMappings {
  // Puts together what /proc/PID/maps and a VmaFlagReader say of one process.
  // kFailedPrecondition if they do not fit, or a flag has no name that is
  // known.
  static absl::StatusOr<FrozenMappings> Of(absl::string_view maps,
                                           absl::Span<const VmaFlags> flags,
                                           const VmaFlagNames& names);

  // As smaps: of each mapping its first line and its last, the flags.
  std::string smaps;
  // Mappings of private, anonymous memory that CRIU leaves to a pager, and that
  // have nothing special: in address order, neighbours joined.
  std::vector<PageRange> lazy;
  // Whether there may be guards in those.
  bool maybe_guarded = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_ANSWERS_FROZEN_MAPPINGS_H_
