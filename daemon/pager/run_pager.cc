#include "daemon/pager/run_pager.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "daemon/pager/control/control_door.h"
#include "daemon/pager/control/control_service.h"
#include "daemon/pager/control/pulse.h"
#include "daemon/pager/control/session_registry.h"
#include "daemon/pager/control/upgrade.h"
#include "daemon/pager/holder/service_manager.h"
#include "daemon/pager/journal/descriptor_store.h"
#include "daemon/pager/source/source_opener.h"
#include "daemon/pager/worker_service.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/status_macros.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_listener.h"
#include "lib/process/service.h"
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

absl::Status Serve(const PagerOptions& options, HolderPage* page,
                   Journals& journals, StopSignals& signals) {
  SourceOptions source;
  source.keep =
      options.keep_working_sets ? KeepWorkingSets::kYes : KeepWorkingSets::kNo;
  source.compression = options.compression;
  SessionRegistry::Options sessions;
  sessions.check_invariants = options.check_invariants;
  sessions.spin = options.spin;
  sessions.limits = options.limits;
  sessions.page = page;
  SessionRegistry registry(
      [source](const std::string& url) { return OpenSource(url, source); },
      sessions);
  registry.GoOn(std::exchange(journals, {}));
  Upgrade upgrade(*page);
  ControlService service(registry, *page, upgrade);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSIGN_OR_RETURN(FdListener listener, ListenForCommands(options, *page));
  ASSIGN_OR_RETURN(std::unique_ptr<ControlDoor> door,
                   ControlDoor::Open(listener, *server));
  LOG(Info) << "control socket at " << options.control;
  Pulse::Options pulse_options;
  pulse_options.last_moved = [&registry] { return registry.LastMoved(); };
  pulse_options.summary = [&registry] { return registry.Summary(); };
  pulse_options.patience = options.watchdog;
  ASSIGN_OR_RETURN(const std::unique_ptr<Pulse> pulse,
                   Pulse::Start(std::move(pulse_options), *page));
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
  return RunWorkerService("pageliftd", {options.log_file, options.log_level},
                          options.sandbox, argv, *page,
                          [&](Journals& journals, StopSignals& signals) {
                            return Serve(options, page, journals, signals);
                          });
}

}  // namespace pagelift
