#include <cstdio>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/daemon_client.h"
#include "daemon/pager/pager_options.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Loading takes milliseconds; a machine may be busy.
constexpr absl::Duration kDeadline = absl::Seconds(30);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(2);

struct UpgradeOptions {
  std::string control = kDefaultControlSocket;
  std::string program;
};

absl::Status Upgrade(const UpgradeOptions& options) {
  ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::Connect(options.control));
  ASSIGN_OR_RETURN(v1::DaemonStatus before, client.GetDaemon());
  v1::UpgradeRequest request;
  request.set_program(options.program);
  RETURN_IF_ERROR(client.Upgrade(request));
  const absl::Time deadline = absl::Now() + kDeadline;
  while (absl::Now() < deadline) {
    ASSIGN_OR_RETURN(v1::DaemonStatus now, client.GetDaemon());
    if (now.upgrades() != before.upgrades()) {
      printf("upgraded: process %d now holds, %d serves\n", now.holder_pid(),
             now.worker_pid());
      return absl::OkStatus();
    }
    if (now.worker_pid() != before.worker_pid()) {
      return absl::AbortedError(
          "the program could not be started, and the old one goes on; "
          "pageliftd's stderr says why");
    }
    absl::SleepFor(kBetweenLooks);
  }
  return absl::DeadlineExceededError("the daemon does not get on with it");
}

}  // namespace

int UpgradeCommand(int argc, const char* const argv[]) {
  UpgradeOptions options;
  CommandLine line(
      "pagelift upgrade",
      "Replaces a running pageliftd by another version, under its "
      "sessions:\nprocesses whose memory is arriving wait for some "
      "milliseconds.");
  line.Add(
      {"control", 0, "PATH", "the daemon's control socket", &options.control});
  line.AddPositional({"[PROGRAM]",
                      "the new pageliftd; default: the file that the running "
                      "one was started from, as it is now",
                      &options.program});
  line.Examples(
      "A program that cannot go on with the daemon's sessions is refused "
      "before "
      "anything\nchanges. Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift upgrade\n"
      "  pagelift upgrade /opt/pagelift-2/bin/pageliftd\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  const absl::Status status = Upgrade(options);
  if (status.ok()) return 0;
  fprintf(stderr, "pagelift upgrade: %s\n",
          std::string(status.message()).c_str());
  return 1;
}

}  // namespace pagelift
