#include "daemon/pager/worker_service.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/pager/confine_worker.h"
#include "daemon/pager/holder_watch.h"
#include "daemon/pager/journal/session_journals.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"

namespace pagelift {
namespace {

void TellOfTheWorkerBefore(const HolderPage& page, const Journals& journals) {
  if (page.workers <= 1) return;
  const auto sessions = std::count_if(
      journals.begin(), journals.end(),
      [](const auto& journal) { return journal->record().ended_ns == 0; });
  const int status = page.last_status;
  if (status == -1) {
    LOG(Info) << "this process has taken the place of another; it goes on with "
              << sessions << " sessions";
    return;
  }
  LOG(Error) << "the process before this one ended "
             << (WIFSIGNALED(status)
                     ? absl::StrCat("by signal ", WTERMSIG(status))
                     : absl::StrCat("with exit code ", WEXITSTATUS(status)))
             << ", crash number " << page.crashes << "; this one goes on with "
             << sessions << " sessions";
}

}  // namespace

int RunWorkerService(
    absl::string_view program, const ServiceLog& log, SandboxMode sandbox,
    char* argv[], HolderPage& page,
    absl::FunctionRef<absl::Status(Journals&, StopSignals&)> serve) {
  // First: a worker that somebody has taken over may have left this one more
  // than it can know.
  const absl::Status confined = ConfineWorker(sandbox);
  Journals journals;
  if (confined.ok()) journals = SessionJournals(&page).TakeOver();
  const int code =
      RunService(program, log, [&](StopSignals& signals) -> absl::Status {
        RETURN_IF_ERROR(confined);
        TellOfTheWorkerBefore(page, journals);
        if (page.workers <= 1) TellHowConfined(sandbox);
        RouteGrpcLog();
        KeepGrpcToTheEnd();
        ASSIGN_OR_RETURN(const std::unique_ptr<HolderWatch> watch,
                         HolderWatch::Start(argv, page));
        return serve(journals, signals);
      });
  // Nobody goes on with them yet: another worker needs what would be closed.
  if (!journals.empty()) _exit(code);
  return code;
}

}  // namespace pagelift
