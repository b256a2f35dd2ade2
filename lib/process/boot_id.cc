#include "lib/process/boot_id.h"

#include "absl/strings/ascii.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"

namespace pagelift {

absl::StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(const std::string id,
                   ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::string(absl::StripAsciiWhitespace(id));
}

}  // namespace pagelift
