#include "daemon/migration/incoming/run_receiver.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/incoming/host_restore_work.h"
#include "daemon/migration/incoming/incoming_migrations.h"
#include "daemon/migration/incoming/migration_service.h"
#include "daemon/migration/incoming/receiver_lock.h"
#include "daemon/pager/pager_options.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/migration/private_directory.h"
#include "lib/process/fd_channel.h"
#include "lib/process/find_program.h"
#include "lib/process/guard.h"
#include "lib/process/service.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/channel.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"

namespace pagelift {
namespace {

// How long another one has for what it is doing, and calls when we are ended.
constexpr absl::Duration kHandOver = absl::Seconds(20);
constexpr absl::Duration kStopDeadline = absl::Seconds(2);
// How often we look whether pageliftd is there, and how long it may not be: it
// may be being replaced, or started again.
constexpr absl::Duration kLook = absl::Seconds(1);
constexpr absl::Duration kPatience = absl::Seconds(20);

absl::StatusOr<std::unique_ptr<grpc::Server>> Listen(
    const ReceiverOptions& options, MigrationService& service) {
  std::shared_ptr<TlsCredentials> tls;
  if (!options.tls.empty()) {
    ASSIGN_OR_RETURN(
        tls, TlsCredentials::Load(options.tls, TlsCredentials::End::kServer));
  }
  grpc::ServerBuilder builder;
  ConfigurePageServer(builder);
  int port = 0;
  builder.AddListeningPort(options.listen, PageServerCredentials(tls.get()),
                           &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen for migrations on ", options.listen,
                     ": is the address one of this host's, and free?"));
  }
  const std::string host = options.listen.substr(0, options.listen.rfind(':'));
  LOG(Info) << "taking migrations on " << host << ":" << port;
  printf("taking migrations on %s:%d\n", host.c_str(), port);
  fflush(stdout);
  return server;
}

// Until we are told to end, or pageliftd has gone.
void WaitForTheEnd(const PagerOptions& options, StopSignals& signals) {
  absl::Time seen = absl::Now();
  while (!signals.Wait(kLook).has_value()) {
    if (FdChannel::Connect(options.control).ok()) seen = absl::Now();
    if (absl::Now() - seen > kPatience) {
      LOG(Info) << "pageliftd has gone: no migrations are taken any more";
      return;
    }
  }
}

absl::Status Serve(const PagerOptions& options, const GuardedLife& life,
                   StopSignals& signals) {
  const ReceiverOptions& receiver = options.receiver;
  RouteGrpcLog();
  KeepGrpcToTheEnd();
  RETURN_IF_ERROR(MakePrivateDirectory(receiver.state));
  ASSIGN_OR_RETURN(const UniqueFd lock,
                   LockReceiver(receiver.state, life.guard, kHandOver));
  HostRestoreWork::Options work;
  work.control = options.control;
  work.tls = receiver.tls;
  work.hook = receiver.hook;
  const absl::StatusOr<std::string> criu = FindCriu(receiver.criu);
  if (criu.ok()) {
    work.criu = *criu;
  } else {
    LOG(Warning) << criu.status().message();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<IncomingMigrations> migrations,
                   IncomingMigrations::Open(
                       receiver.state, [work](const std::string& directory) {
                         return std::make_unique<HostRestoreWork>(directory,
                                                                  work);
                       }));
  MigrationService service(
      *migrations,
      {work.criu, {receiver.allowed.begin(), receiver.allowed.end()}});
  ASSIGN_OR_RETURN(const std::unique_ptr<grpc::Server> server,
                   Listen(receiver, service));
  if (life.number == 0) RETURN_IF_ERROR(TellReady(receiver.ready_fd, '\n'));
  WaitForTheEnd(options, signals);
  server->Shutdown(absl::ToChronoTime(absl::Now() + kStopDeadline));
  return absl::OkStatus();
}

}  // namespace

int RunReceiver(int argc, char* argv[]) {
  PagerOptions options;
  if (std::optional<int> exit_code = ParsePagerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return RunGuarded("pagelift-recv", [&](const GuardedLife& life) {
    if (life.number > 0) CloseAllBut({});
    return RunService(
        "pagelift-server receive", {options.log_file, options.log_level},
        [&](StopSignals& signals) { return Serve(options, life, signals); });
  });
}

}  // namespace pagelift
