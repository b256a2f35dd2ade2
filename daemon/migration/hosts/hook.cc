#include "daemon/migration/hosts/hook.h"

#include <poll.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/process/child_program.h"

namespace pagelift {

absl::Status RunHook(const std::string& program, const std::string& event,
                     const std::string& id, absl::Duration patience) {
  if (program.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(ChildProgram hook,
                   ChildProgram::Start({{program, event, id}}));
  pollfd ended = {hook.process().fd(), POLLIN, 0};
  const bool in_time =
      poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) ==
      1;
  if (!in_time) hook.process().Kill().IgnoreError();
  ASSIGN_OR_RETURN(const int code, hook.Wait());
  const std::string what = absl::StrCat("the hook ", program, " ", event);
  if (!in_time) {
    return absl::DeadlineExceededError(
        absl::StrCat(what, " took too long, and was killed"));
  }
  if (code != 0) {
    return absl::AbortedError(
        absl::StrCat(what, " ended with exit code ", code));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
