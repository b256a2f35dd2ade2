#include "daemon/pager/run_pager.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/control/control_door.h"
#include "daemon/pager/control/control_service.h"
#include "daemon/pager/control/pulse.h"
#include "daemon/pager/control/session_registry.h"
#include "daemon/pager/control/upgrade.h"
#include "daemon/pager/holder/service_manager.h"
#include "daemon/pager/holder_watch.h"
#include "daemon/pager/journal/descriptor_store.h"
#include "daemon/pager/journal/session_journal.h"
#include "daemon/pager/journal/session_journals.h"
#include "daemon/pager/source/source_opener.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/status_macros.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_listener.h"
#include "lib/process/service.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"
#include "lib/workingset/working_set.h"

namespace pagelift {
namespace {

// A command that waits for a session looks at it several times a second, and is
// to see how it has ended.
constexpr absl::Duration kForWhoWaits = absl::Milliseconds(500);

// Until a signal, or until there was no session for as long as was said.
void WaitForTheEnd(const PagerOptions& options, StopSignals& signals,
                   const SessionRegistry& registry) {
  if (options.exit_when_idle <= absl::ZeroDuration()) {
    signals.Wait();
    return;
  }
  absl::Time busy = absl::Now();
  while (!signals.Wait(absl::Seconds(1)).has_value()) {
    if (!registry.idle()) busy = absl::Now();
    if (absl::Now() - busy >= options.exit_when_idle) return;
  }
}

using Journals = std::vector<std::unique_ptr<SessionJournal>>;

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

// Where another worker, or the service manager, listens already, or anew.
absl::StatusOr<FdListener> ListenForCommands(const PagerOptions& options,
                                             HolderPage& page) {
  UniqueFd given(page.control - 1);
  if (page.control_is_given != 0) {
    // The file is not ours.
    return FdListener::Adopt(std::move(given), /*path=*/"");
  }
  ASSIGN_OR_RETURN(FdListener listener,
                   ControlDoor::Listen(options.control, std::move(given)));
  page.control = listener.fd() + 1;
  DescriptorStore(&page).Keep(listener.fd());
  return listener;
}

absl::Status Serve(const PagerOptions& options, char* argv[], HolderPage* page,
                   Journals& journals, StopSignals& signals) {
  TellOfTheWorkerBefore(*page, journals);
  RouteGrpcLog();
  KeepGrpcToTheEnd();
  SourceOptions source;
  source.keep =
      options.keep_working_sets ? KeepWorkingSets::kYes : KeepWorkingSets::kNo;
  source.compression = options.compression;
  SessionRegistry::Options sessions;
  sessions.check_invariants = options.check_invariants;
  sessions.spin = options.spin;
  sessions.page = page;
  SessionRegistry registry(
      [source](const std::string& url) { return OpenSource(url, source); },
      sessions);
  registry.GoOn(std::exchange(journals, {}));
  Upgrade upgrade(*page);
  ControlService service(registry, *page, upgrade);
  ASSIGN_OR_RETURN(const std::unique_ptr<HolderWatch> watch,
                   HolderWatch::Start(argv, *page));
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSIGN_OR_RETURN(FdListener listener, ListenForCommands(options, *page));
  ASSIGN_OR_RETURN(std::unique_ptr<ControlDoor> door,
                   ControlDoor::Open(listener, *server));
  LOG(Info) << "control socket at " << options.control;
  ASSIGN_OR_RETURN(const std::unique_ptr<Pulse> pulse,
                   Pulse::Start(registry, options.watchdog, *page));
  TellServiceManager("READY=1");
  if (page->told_ready.exchange(1) == 0) {
    RETURN_IF_ERROR(TellReady(options.ready_fd, '\n'));
  }
  WaitForTheEnd(options, signals, registry);
  TellServiceManager("STOPPING=1");
  registry.RefuseNew();
  if (!registry.idle()) {
    LOG(Info) << "stopping when all targets have all their memory";
    registry.WaitUntilIdle();
    absl::SleepFor(kForWhoWaits);
  }
  door.reset();  // It gives connections to the server.
  server->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
  // Whoever is started next begins anew.
  const DescriptorStore store(page);
  if (page->control_is_given == 0) store.TakeOut(listener.fd());
  store.TakeOut(page->descriptor);
  LOG(Info) << "stopped";
  return absl::OkStatus();
}

}  // namespace

int RunPager(const PagerOptions& options, char* argv[], HolderPage* page) {
  Journals journals = SessionJournals(page).TakeOver();
  const int code =
      RunService("pageliftd", {options.log_file, options.log_level},
                 [&](StopSignals& signals) {
                   return Serve(options, argv, page, journals, signals);
                 });
  // Nobody goes on with them yet: another worker needs what would be closed.
  if (!journals.empty()) _exit(code);
  return code;
}

}  // namespace pagelift
