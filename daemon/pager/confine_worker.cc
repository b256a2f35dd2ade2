#include "daemon/pager/confine_worker.h"

#include <linux/capability.h>

#include "daemon/pager/holder/rights.h"
#include "lib/base/log.h"
#include "lib/process/capabilities.h"
#include "lib/process/sandbox.h"
#include "lib/uffd/requests.h"

namespace pagelift {

absl::Status ConfineWorker(SandboxMode mode) {
  SandboxNeeds needs;
  needs.capabilities = CapabilitySet(kWorkerCapabilities);
  // A worker whose holder has died becomes one, and one that is asked to
  // upgrade starts the new program.
  needs.calls.processes = true;
  needs.calls.ioctls = RequestsThatServe();
  return EnterSandbox(mode, needs);
}

void TellHowConfined(SandboxMode mode) {
  TellOfSandbox(mode);
  if (CapabilitySet::Effective().Has(CAP_SYS_PTRACE)) return;
  LOG(Warning)
      << "without CAP_SYS_PTRACE: of targets of another user, or with more "
         "capabilities than this process, MADV_WIPEONFORK and MADV_DONTFORK "
         "are not seen: their forked children may read memory that should be "
         "zero, or not there. docs/security.md tells more";
}

}  // namespace pagelift
