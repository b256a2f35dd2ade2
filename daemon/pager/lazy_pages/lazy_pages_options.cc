#include "daemon/pager/lazy_pages/lazy_pages_options.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/command_line.h"
#include "lib/prefetch/prefetch_option.h"
#include "lib/process/sandbox_mode.h"
#include "lib/transport/source_flags.h"

namespace pagelift {

std::string LazyPagesOptions::InWorkDir(const std::string& name) const {
  if (name.empty() || absl::StartsWith(name, "/")) return name;
  return absl::StrCat(work_dir, "/", name);
}

LogLevel LazyPagesOptions::log_level() const {
  if (verbosity >= 4) return LogLevel::kDebug;
  if (verbosity == 3) return LogLevel::kInfo;
  return verbosity == 2 ? LogLevel::kWarning : LogLevel::kError;
}

std::optional<int> ParseLazyPagesOptions(int argc, const char* const argv[],
                                         LazyPagesOptions* options) {
  SourceFlags source_flags;
  CommandLine line("pagelift lazy-pages",
                   "Serves the memory of one `criu restore --lazy-pages`, in "
                   "place of `criu lazy-pages`.");
  line.Add({"images-dir", 'D', "DIR", "the checkpoint; default: .",
            &options->images});
  line.Add({"work-dir", 'W', "DIR",
            "where the socket, the log and the pid file go; default: the "
            "checkpoint's directory",
            &options->work_dir});
  line.Add({"log-file", 'o', "FILE", "append the log to FILE; default: stderr",
            &options->log_file});
  line.Add({"verbosity", 'v', "[LEVEL]",
            "1 errors, 2 warnings (default), 3 information, 4 everything",
            VerbosityInto(&options->verbosity)});
  line.Add({"daemon", 'd', "",
            "go on in the background once the socket listens",
            &options->daemon});
  line.Add({"pidfile", 0, "FILE", "write our pid to FILE", &options->pid_file});
  line.Add({"status-fd", 0, "N",
            "write a zero byte to this descriptor once the socket listens",
            &options->status_fd});
  line.Add({"page-server", 0, "",
            "take the pages from a `criu dump --lazy-pages` or `criu "
            "page-server --lazy-pages` at --address and --port",
            &options->page_server});
  line.Add(
      {"address", 0, "ADDRESS", "of CRIU's page server", &options->address});
  line.Add({"port", 0, "PORT", "of CRIU's page server", &options->port});
  line.Add({"source", 0, "URL",
            "take the pages from criu:DIR or "
            "grpc[s]://HOST:PORT[,HOST:PORT...]/NAME instead",
            &options->source});
  source_flags.AddTo(line);
  line.Add({"prefetch", 0, "MODE",
            "how much of what nobody waits for is brought: full (default), "
            "idle, rate=N in MiB a second, off",
            PrefetchModeInto(&options->prefetch)});
  line.Add(SandboxOption(&options->sandbox));
  line.Examples(
      "Exit codes: 0 all tasks have all their memory, 1 failed, 2 wrong "
      "usage.\nSIGTERM ends it only while no task depends on it.\n\n"
      "Examples:\n"
      "  pagelift lazy-pages -D /ckpt &\n"
      "  pagelift lazy-pages -D /ckpt -W /job --source "
      "grpcs://10.0.0.2:7077/redis -v4 -o lp.log --daemon\n"
      "  pagelift lazy-pages -D /ckpt --page-server --address 10.0.0.2 --port "
      "27000\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (options->page_server && (options->address.empty() || options->port < 1 ||
                               options->port > 65535)) {
    return line.Complain("--page-server needs --address and --port");
  }
  if (options->page_server && !options->source.empty()) {
    return line.Complain("--page-server and --source exclude each other");
  }
  options->images_named = !options->images.empty();
  if (!options->images_named) options->images = ".";
  if (options->work_dir.empty()) options->work_dir = options->images;
  if (options->source.empty()) {
    options->source = absl::StrCat("criu:", options->images);
  }
  options->source = source_flags.AppliedTo(std::move(options->source));
  return std::nullopt;
}

}  // namespace pagelift
