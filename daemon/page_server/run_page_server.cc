#include "daemon/page_server/run_page_server.h"

#include <linux/capability.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/page_server/dump_sink.h"
#include "daemon/page_server/image_directory_catalog.h"
#include "daemon/page_server/page_server.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/process/sandbox.h"
#include "lib/process/service.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/access_policy.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"
#include "lib/transport/image_access.h"
#include "lib/transport/socket_address.h"
#include "lib/workingset/working_set.h"

namespace pagelift {
namespace {

// Missing and broken images are told now, and tried again when asked for.
void CheckImages(ImageCatalog& catalog, const PageServerOptions& options) {
  for (const auto& [name, directory] : options.images) {
    absl::Status status = catalog.Open(name).status();
    if (status.ok()) continue;
    LOG(Warning) << status.message();
  }
}

void WarnOfPlainText(const std::string& address) {
  if (IsLocalAddress(address)) return;
  LOG(Warning) << "other hosts can reach " << address
               << ", and traffic is neither encrypted nor authenticated";
}

absl::Status Serve(const PageServerOptions& options, StopSignals& signals) {
  SandboxNeeds needs;
  // Checkpoints are often readable for their owner only.
  needs.capabilities = CapabilitySet({CAP_DAC_READ_SEARCH});
  RETURN_IF_ERROR(EnterSandbox(options.sandbox, needs));
  TellOfSandbox(options.sandbox);
  RouteGrpcLog();
  KeepGrpcToTheEnd();
  ASSIGN_OR_RETURN(std::unique_ptr<ImageDirectoryCatalog> catalog,
                   ImageDirectoryCatalog::Create(options.images, options.root));
  std::unique_ptr<AccessPolicyFile> policy;
  if (!options.policy.empty()) {
    ASSIGN_OR_RETURN(policy, LoadAccessPolicy(options.policy));
  }
  CheckImages(*catalog, options);
  PageServer::Options serving;
  if (options.keep_working_sets) serving.keep = KeepWorkingSets::kYes;
  serving.connections_per_client = options.connections_per_client;
  serving.limits.streams = options.streams_per_client;
  serving.limits.bytes_per_second =
      static_cast<double>(options.mib_per_client) * (1 << 20);
  serving.limits.requests_per_second =
      static_cast<double>(options.requests_per_client);
  std::shared_ptr<TlsCredentials> tls;
  if (!options.tls.empty()) {
    ASSIGN_OR_RETURN(
        tls, TlsCredentials::Load(options.tls, TlsCredentials::End::kServer));
  }
  serving.tls = tls;
  ASSIGN_OR_RETURN(
      std::unique_ptr<PageServer> server,
      PageServer::Start(options.listen, ImageAccess(*catalog, policy.get()),
                        std::move(serving)));
  std::unique_ptr<DumpSink> sink;
  if (!options.sink.empty()) {
    DumpSink::Options receiving;
    receiving.listen = options.sink_listen;
    receiving.directory = options.sink;
    receiving.tls = tls;
    ASSIGN_OR_RETURN(sink, DumpSink::Start(std::move(receiving)));
    LOG(Info) << "receiving dumps on " << sink->address();
  }
  LOG(Info) << "serving on " << server->address();
  if (options.insecure) {
    WarnOfPlainText(server->address());
    if (sink != nullptr) WarnOfPlainText(sink->address());
  }
  printf("listening on %s\n", server->address().c_str());
  if (sink != nullptr) {
    printf("sink listening on %s\n", sink->address().c_str());
  }
  fflush(stdout);
  RETURN_IF_ERROR(TellReady(options.ready_fd, '\n'));
  signals.Wait();
  LOG(Info) << "stopping";
  const absl::Duration until = MonotonicNow() + options.stop_deadline;
  if (sink != nullptr) sink->Stop(options.stop_deadline);
  server->Stop(std::max(until - MonotonicNow(), absl::ZeroDuration()));
  LOG(Info) << "stopped";
  return absl::OkStatus();
}

}  // namespace

int RunPageServer(const PageServerOptions& options) {
  return RunService(
      "pagelift-server", {options.log_file, options.log_level},
      [&](StopSignals& signals) { return Serve(options, signals); });
}

}  // namespace pagelift
