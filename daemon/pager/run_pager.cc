#include "daemon/pager/run_pager.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/control/control_service.h"
#include "daemon/pager/control/session_registry.h"
#include "daemon/pager/source/source_opener.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/service.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"
#include "lib/workingset/working_set.h"

namespace pagelift {
namespace {

// The socket's directory is what keeps others out: gRPC gives no say in the
// mode of the socket itself.
absl::Status MakeControlDirectory(const std::string& socket) {
  const size_t slash = socket.rfind('/');
  if (slash == std::string::npos || slash == 0) return absl::OkStatus();
  const std::string directory = socket.substr(0, slash);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError("make directory ", directory, " for the control socket");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<grpc::Server>> Listen(const std::string& socket,
                                                     ControlService& service) {
  RETURN_IF_ERROR(MakeControlDirectory(socket));
  umask(0077);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("unix:", socket),
                           grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen at ", socket,
        ": is its directory writable, and the path shorter than 108 bytes?"));
  }
  return server;
}

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

absl::Status Serve(const PagerOptions& options, StopSignals& signals) {
  RouteGrpcLog();
  KeepGrpcToTheEnd();
  SourceOptions source;
  source.keep =
      options.keep_working_sets ? KeepWorkingSets::kYes : KeepWorkingSets::kNo;
  source.compression = options.compression;
  SessionRegistry::Options sessions;
  sessions.check_invariants = options.check_invariants;
  sessions.spin = options.spin;
  SessionRegistry registry(
      [source](const std::string& url) { return OpenSource(url, source); },
      sessions);
  ControlService service(registry);
  ASSIGN_OR_RETURN(std::unique_ptr<grpc::Server> server,
                   Listen(options.control, service));
  LOG(Info) << "control socket at " << options.control;
  RETURN_IF_ERROR(TellReady(options.ready_fd, '\n'));
  WaitForTheEnd(options, signals, registry);
  registry.RefuseNew();
  if (!registry.idle()) {
    LOG(Info) << "stopping when all targets have all their memory";
  }
  registry.WaitUntilIdle();
  server->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
  LOG(Info) << "stopped";
  return absl::OkStatus();
}

}  // namespace

int RunPager(const PagerOptions& options) {
  return RunService(
      "pageliftd", {options.log_file, options.log_level},
      [&](StopSignals& signals) { return Serve(options, signals); });
}

}  // namespace pagelift
