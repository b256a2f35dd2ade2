#ifndef PAGELIFT_DAEMON_PAGER_WORKER_SERVICE_H_
#define PAGELIFT_DAEMON_PAGER_WORKER_SERVICE_H_

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/journal/session_journal.h"
#include "lib/process/sandbox_mode.h"
#include "lib/process/service.h"

namespace pagelift {

using Journals = std::vector<std::unique_ptr<SessionJournal>>;

// The life of every worker: is confined, takes over what the one before has
// left in `page`, which is shared with the holder, runs as a service (see
// RunService), watches the holder, and calls `serve`, which goes on with the
// journals. Returns main()'s result; the next worker goes on with what `serve`
// has left in them.
//
// Before any other thread, and before anything is opened. `argv` is the
// program's, and outlives this.
int RunWorkerService(
    absl::string_view program, const ServiceLog& log, SandboxMode sandbox,
    char* argv[], HolderPage& page,
    absl::FunctionRef<absl::Status(Journals&, StopSignals&)> serve);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_WORKER_SERVICE_H_
