#ifndef PAGELIFT_DAEMON_PAGER_CONFINE_WORKER_H_
#define PAGELIFT_DAEMON_PAGER_CONFINE_WORKER_H_

#include "absl/status/status.h"
#include "lib/process/sandbox_mode.h"

namespace pagelift {

// Leaves this process, a worker, what serving takes; see EnterSandbox().
absl::Status ConfineWorker(SandboxMode mode);

// Has the log say if that is less than usual, and what a worker without
// CAP_SYS_PTRACE does not see.
void TellHowConfined(SandboxMode mode);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONFINE_WORKER_H_
