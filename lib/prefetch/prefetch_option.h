#ifndef PAGELIFT_LIB_PREFETCH_PREFETCH_OPTION_H_
#define PAGELIFT_LIB_PREFETCH_PREFETCH_OPTION_H_

#include <string>

#include "absl/status/status.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {

// A target for `--prefetch MODE`: a PrefetchMode, or an optional one.
template <typename Mode>
ArgumentTarget PrefetchModeInto(Mode* mode) {
  return [mode](const std::string& value) -> absl::Status {
    ASSIGN_OR_RETURN(*mode, PrefetchMode::Parse(value));
    return absl::OkStatus();
  };
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_PREFETCH_OPTION_H_
