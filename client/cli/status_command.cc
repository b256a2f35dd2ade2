#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/daemon_client.h"
#include "client/cli/session_report.h"
#include "daemon/pager/pager_options.h"
#include "lib/base/command_line.h"

namespace pagelift {
namespace {

struct StatusOptions {
  std::string control = kDefaultControlSocket;
  std::string session;
  bool json = false;
  bool watch = false;
};

int Show(const StatusOptions& options) {
  absl::StatusOr<DaemonClient> client = DaemonClient::Connect(options.control);
  absl::Status status = client.status();
  while (status.ok()) {
    absl::StatusOr<std::vector<v1::SessionStatus>> sessions =
        client->ListSessions();
    status = sessions.status();
    if (!status.ok()) break;
    if (!options.session.empty()) {
      absl::StatusOr<v1::SessionStatus> one =
          client->GetSession(options.session);
      status = one.status();
      if (!status.ok()) break;
      *sessions = {*std::move(one)};
    }
    if (options.watch && !options.json && isatty(STDOUT_FILENO)) {
      printf("\033[H\033[2J");  // Home, and clear what is below.
    }
    // An older daemon does not tell.
    const v1::DaemonStatus daemon =
        client->GetDaemon().value_or(v1::DaemonStatus());
    fputs(
        options.json
            ? StatusJson(*sessions, daemon).c_str()
            : absl::StrCat(SessionTable(*sessions), DaemonLine(daemon)).c_str(),
        stdout);
    fflush(stdout);
    if (!options.watch) return 0;
    absl::SleepFor(absl::Seconds(1));
  }
  fprintf(stderr, "pagelift status: %s\n",
          std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int StatusCommand(int argc, const char* const argv[]) {
  StatusOptions options;
  CommandLine line("pagelift status", "Tells how far lazy restores are.");
  line.Add(
      {"json", 0, "", "one JSON object instead of a table", &options.json});
  line.Add({"watch", 'w', "", "again every second, until interrupted",
            &options.watch});
  line.Add(
      {"control", 0, "PATH", "the daemon's control socket", &options.control});
  line.AddPositional({"[SESSION]", "only this one", &options.session});
  line.Examples(
      "Examples:\n"
      "  pagelift status\n"
      "  pagelift status --watch\n"
      "  pagelift status --json s3\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  return Show(options);
}

}  // namespace pagelift
