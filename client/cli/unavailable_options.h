#ifndef PAGELIFT_CLIENT_CLI_UNAVAILABLE_OPTIONS_H_
#define PAGELIFT_CLIENT_CLI_UNAVAILABLE_OPTIONS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/pager/session/lost_source.h"
#include "lib/base/status_macros.h"

namespace pagelift {

// A target for `--when-unavailable ACTION`.
inline std::function<absl::Status(const std::string&)> WhenUnavailableInto(
    WhenUnavailable* action) {
  return [action](const std::string& value) -> absl::Status {
    ASSIGN_OR_RETURN(*action, ParseWhenUnavailable(value));
    return absl::OkStatus();
  };
}

// What is wrong with it and `--unavailable-after` together; "" if nothing is.
// `after` is zero if it was not given.
inline std::string UnavailableMisfit(WhenUnavailable action,
                                     absl::Duration after) {
  const bool acts = action != WhenUnavailable::kFreeze;
  if (acts == (after > absl::ZeroDuration())) return "";
  return "--unavailable-after DURATION and --when-unavailable poison or kill "
         "belong together";
}

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_UNAVAILABLE_OPTIONS_H_
