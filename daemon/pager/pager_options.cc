#include "daemon/pager/pager_options.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/process/sandbox_mode.h"
#include "lib/process/service.h"

namespace pagelift {

namespace {

constexpr int kLongestSpinUs = 1000;

absl::Status ParseSpin(const std::string& value, absl::Duration* spin) {
  int us = 0;
  if (!absl::SimpleAtoi(value, &us) || us < 0 || us > kLongestSpinUs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected 0 to ", kLongestSpinUs, " microseconds, not '", value, "'"));
  }
  *spin = absl::Microseconds(us);
  return absl::OkStatus();
}

}  // namespace

std::optional<int> ParsePagerOptions(int argc, const char* const argv[],
                                     PagerOptions* options) {
  CommandLine line("pageliftd",
                   "Serves the page faults of lazily restored processes.");
  line.Add({"control", 0, "PATH",
            "the Unix socket for `pagelift`; its directory is made if it is "
            "missing",
            &options->control});
  line.Add({"ready-fd", 0, "N",
            "write a newline to this descriptor when sessions can be opened",
            &options->ready_fd});
  line.Add({"exit-when-idle", 0, "DURATION",
            "end after so long without a session (30s, 5m); default: never",
            &options->exit_when_idle});
  line.Add({"watchdog", 0, "DURATION",
            "replace the process that serves when it has stood still for so "
            "long; 0s: never (default: 30s)",
            &options->watchdog});
  line.Add({"keep-working-sets", 0, "",
            "write down beside images of this host what restores touched "
            "first; without it nothing is ever written there",
            &options->keep_working_sets});
  line.Add({"compression", 0, "WHEN",
            "compress what is prefetched on its way: auto, as long as pages "
            "arrive sooner for it; never; always (default: auto)",
            [options](const std::string& value) {
              ASSIGN_OR_RETURN(options->compression, ParseCompression(value));
              return absl::OkStatus();
            }});
  line.Add({"spin-us", 0, "N",
            "how many microseconds the thread that serves faults looks on "
            "before it sleeps, 0 to 1000 (default: 100); the processor is left "
            "to others as soon as they want it",
            [options](const std::string& value) {
              return ParseSpin(value, &options->spin);
            }});
  line.Add(SandboxOption(&options->sandbox));
  line.Add({"forked-processes", 0, "N",
            "how many forked processes without all their memory a session may "
            "have; beyond that, who forks waits (default: 10000)",
            &options->limits.forked_processes});
  AddReceiverOptions(&options->receiver, &line);
  line.Add({"check-invariants", 0, "",
            "for tests: end at once, with a message, if an invariant is broken",
            &options->check_invariants});
  line.Add(
      {"can-replace", 0, "VERSIONS",
       "only for `pagelift upgrade`: exit with 0 if this program can go on "
       "with what a daemon of these versions has left",
       &options->can_replace});
  line.Add({"log-file", 0, "FILE", "append the log to FILE; default: stderr",
            &options->log_file});
  line.Add({"log-level", 0, "LEVEL",
            "debug, info, warning or error (default: info)",
            LogLevelInto(&options->log_level)});
  line.Examples(
      "SIGTERM and SIGINT end the daemon when every process it serves has all "
      "its\nmemory; until then it goes on serving and opens no new "
      "sessions.\n\n"
      "Examples:\n"
      "  pageliftd &\n"
      "  pageliftd --control /run/user/1000/pagelift.sock "
      "--log-file /var/log/pageliftd.log\n"
      "  pageliftd --accept-migrations 10.0.0.3:7078 --migration-tls "
      "/etc/pagelift/tls\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return exit_code;
  }
  const absl::Status fits = CheckReceiverOptions(options->receiver);
  if (!fits.ok()) return line.Complain(std::string(fits.message()));
  return std::nullopt;
}

}  // namespace pagelift
