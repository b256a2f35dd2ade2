#include "client/cli/restore_options.h"

#include <string>
#include <utility>

#include "client/cli/unavailable_options.h"
#include "lib/base/command_line.h"
#include "lib/prefetch/prefetch_option.h"
#include "lib/transport/source_flags.h"

namespace pagelift {

std::optional<int> ParseRestoreOptions(int argc, const char* const argv[],
                                       RestoreOptions* options) {
  SourceFlags source_flags;
  CommandLine line("pagelift restore",
                   "Starts a CRIU checkpoint before its memory has arrived.");
  line.Add({"images", 'D', "DIR", "the checkpoint; its pages may be elsewhere",
            &options->images});
  line.Add({"source", 0, "URL",
            "where the pages are: criu:DIR or "
            "grpc[s]://HOST:PORT[,HOST:PORT...]/NAME; default: "
            "the checkpoint itself",
            &options->source});
  source_flags.AddTo(line);
  line.Add({"work-dir", 'W', "DIR",
            "where criu's log and the socket go; default: a fresh directory "
            "that is removed, or kept if criu failed",
            &options->work_dir});
  line.Add({"criu", 0, "PATH",
            "the criu to use; default: $PAGELIFT_CRIU, the one of "
            "tools/install_deps, or the one on the PATH",
            &options->criu});
  line.Add({"prefetch", 0, "MODE",
            "how much of what nobody waits for is brought: full (default); "
            "idle, only while no thread waits; rate=N, at most N MiB a second; "
            "off, nothing",
            PrefetchModeInto(&options->prefetch)});
  line.Add({"record", 0, "",
            "bring nothing until the process has settled, so that all it "
            "touches is recorded for later restores; then go on as --prefetch "
            "says",
            &options->record});
  line.Add({"unavailable-after", 0, "DURATION",
            "how long somebody may wait for a page, and nothing come, before "
            "--when-unavailable is done (30s, 5m); default: for ever",
            &options->unavailable_after});
  line.Add({"when-unavailable", 0, "ACTION",
            "freeze, it waits on (default); poison, what is missing raises "
            "SIGBUS when it is touched, for good; kill",
            WhenUnavailableInto(&options->when_unavailable)});
  line.Add({"wait", 0, "",
            "return when all memory has arrived, not when the process runs",
            &options->wait});
  line.Add({"json", 0, "", "say how it went as one JSON object on stdout",
            &options->json});
  line.Add({"control", 0, "PATH",
            "pageliftd's control socket; a daemon is started if there is none",
            &options->control});
  line.PassThrough("CRIU OPTION", "passed on to criu restore",
                   &options->criu_options);
  line.Examples(
      "Exit codes: 0 done, 1 failed (the process does not run, or has lost "
      "memory), 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift restore --images /ckpt\n"
      "  pagelift restore --images /ckpt --source grpcs://10.0.0.2:7077/redis "
      "--wait\n"
      "  pagelift restore --images /ckpt --json -- --tcp-established "
      "--shell-job\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return exit_code;
  }
  options->source = source_flags.AppliedTo(std::move(options->source));
  if (options->images.empty()) {
    return line.Complain("--images DIR is needed: the checkpoint to restore");
  }
  if (const std::string misfit = UnavailableMisfit(options->when_unavailable,
                                                   options->unavailable_after);
      !misfit.empty()) {
    return line.Complain(misfit);
  }
  if (options->wait && options->prefetch.kind == PrefetchMode::Kind::kOff) {
    return line.Complain(
        "--wait would wait until the process has touched everything by itself: "
        "nothing is prefetched with --prefetch off");
  }
  return std::nullopt;
}

}  // namespace pagelift
