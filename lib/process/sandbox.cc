#include "lib/process/sandbox.h"

#include <sys/prctl.h>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/refused_call.h"

namespace pagelift {
namespace {

absl::Status Enter(SandboxMode mode, const SandboxNeeds& needs) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SysError("set no_new_privs");
  }
  RETURN_IF_ERROR(KeepCapabilities(needs.capabilities));
  if (mode == SandboxMode::kOn) {
    return LoadSyscallFilter(needs.calls, UnlistedCalls::kFail);
  }
  RETURN_IF_ERROR(TellOfRefusedCalls());
  return LoadSyscallFilter(needs.calls, UnlistedCalls::kTrap);
}

}  // namespace

absl::Status EnterSandbox(SandboxMode mode, const SandboxNeeds& needs) {
  if (mode == SandboxMode::kOff || !SandboxIsBuilt()) return absl::OkStatus();
  const absl::Status entered = Enter(mode, needs);
  if (entered.ok()) return entered;
  return absl::Status(
      entered.code(),
      absl::StrCat("this process cannot be confined here: ", entered.message(),
                   "; --sandbox=off goes without"));
}

void TellOfSandbox(SandboxMode mode) {
  if (mode == SandboxMode::kOff) {
    LOG(Warning) << "nothing confines this process: --sandbox=off";
  } else if (!SandboxIsBuilt()) {
    LOG(Info) << "nothing confines this process: it is built with a sanitizer";
  }
}

bool SandboxIsBuilt() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return true;
#endif
}

}  // namespace pagelift
