#include <cstdio>
#include <optional>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/daemon_client.h"
#include "daemon/pager/pager_options.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/prefetch/prefetch_option.h"

namespace pagelift {
namespace {

struct TuneOptions {
  std::string control = kDefaultControlSocket;
  std::string session;
  std::optional<PrefetchMode> prefetch;
};

absl::Status Tune(const TuneOptions& options) {
  ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::Connect(options.control));
  v1::TuneSessionRequest request;
  request.set_session(options.session);
  request.set_prefetch(ToString(*options.prefetch));
  return client.TuneSession(request);
}

}  // namespace

int TuneCommand(int argc, const char* const argv[]) {
  TuneOptions options;
  CommandLine line("pagelift tune",
                   "Changes how a restore that is under way goes on.");
  line.Add({"prefetch", 0, "MODE",
            "how much of what nobody waits for is brought: full; idle, only "
            "while no thread waits; rate=N, at most N MiB a second; off, "
            "nothing",
            PrefetchModeInto(&options.prefetch)});
  line.Add(
      {"control", 0, "PATH", "the daemon's control socket", &options.control});
  line.AddPositional(
      {"SESSION", "as `pagelift status` names it", &options.session});
  line.Examples(
      "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift tune s3 --prefetch rate=100\n"
      "  pagelift tune s3 --prefetch full\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (options.session.empty()) {
    return line.Complain("SESSION is needed: `pagelift status` lists them");
  }
  if (!options.prefetch.has_value()) {
    return line.Complain("--prefetch MODE is needed: what is to change");
  }
  const absl::Status status = Tune(options);
  if (status.ok()) return 0;
  fprintf(stderr, "pagelift tune: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace pagelift
