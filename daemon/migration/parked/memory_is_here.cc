#include "daemon/migration/parked/memory_is_here.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/process/child_processes.h"
#include "lib/process/registered_ranges.h"

namespace pagelift {
namespace {

absl::Status CheckProcess(pid_t pid) {
  const absl::StatusOr<RegisteredRanges> ranges =
      RegisteredRanges::OfProcess(pid);
  // A zombie, or one that has ended.
  if (absl::IsNotFound(ranges.status())) return absl::OkStatus();
  if (!ranges.ok()) return ranges.status();
  for (const Mapping& mapping : ranges->mappings()) {
    if (!mapping.registered()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "process ", pid, " is itself still being restored: its pages ",
        ToString(mapping.pages),
        " are registered with a userfaultfd; `pagelift complete` its session "
        "first"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMemoryIsHere(pid_t root) {
  for (pid_t pid : TreeOf(root)) {
    absl::Status whole = CheckProcess(pid);
    if (!whole.ok()) return whole;
  }
  return absl::OkStatus();
}

}  // namespace pagelift
