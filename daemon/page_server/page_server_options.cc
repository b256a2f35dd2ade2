#include "daemon/page_server/page_server_options.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/page_server/image_directory_catalog.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/process/sandbox_mode.h"
#include "lib/process/service.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

constexpr char kSinkListen[] = "127.0.0.1:7079";

constexpr char kExamples[] =
    "Examples:\n"
    "  pagelift-server --image redis=/var/lib/ckpt/redis\n"
    "  pagelift-server --listen 0.0.0.0:7077 --root /var/lib/ckpt \\\n"
    "      --tls /etc/pagelift/tls --policy /etc/pagelift/policy\n"
    "  pagelift-server --sink /var/lib/ckpt --sink-listen 127.0.0.1:7079\n"
    "  pagelift-server --listen unix:/run/pagelift/pages.sock --root .\n";

absl::Status AddImage(const std::string& value, PageServerOptions* options) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(value, absl::MaxSplits('=', 1));
  if (parts.first.empty() || parts.second.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected NAME=DIR, not '", value, "'"));
  }
  RETURN_IF_ERROR(CheckImageName(parts.first));
  if (!options->images.insert(parts).second) {
    return absl::InvalidArgumentError(
        absl::StrCat("two images of the name ", parts.first));
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<int> ParsePageServerOptions(int argc, const char* const argv[],
                                          PageServerOptions* options) {
  CommandLine line("pagelift-server",
                   "Serves the memory pages of checkpoints over gRPC.");
  line.Add({"listen", 'l', "ADDRESS",
            "HOST:PORT or unix:PATH to listen on; port 0 takes a free one and "
            "prints it (default: 127.0.0.1:7077)",
            &options->listen});
  line.Add({"image", 'i', "NAME=DIR",
            "serve the checkpoint in DIR as NAME; may be repeated",
            [options](const std::string& value) {
              return AddImage(value, options);
            }});
  line.Add({"root", 'r', "DIR",
            "serve every checkpoint below DIR, named by its path from there",
            &options->root});
  line.Add({"keep-working-sets", 0, "",
            "write down beside the images what restores touched first, if they "
            "send it; without it none is ever written",
            &options->keep_working_sets});
  line.Add({"sink", 0, "DIR",
            "receive what criu dump --page-server sends into DIR; without "
            "--root, DIR is also the root",
            &options->sink});
  line.Add({"sink-listen", 0, "HOST:PORT",
            "where to listen for dumps (default: 127.0.0.1:7079)",
            &options->sink_listen});
  line.Add({"tls", 0, "DIR",
            "serve over TLS, with DIR/tls.crt, tls.key, and ca.crt by which "
            "clients have to be certified; they may change at any time",
            &options->tls});
  line.Add({"policy", 0, "FILE",
            "who may open which image; without it, every client may open all "
            "of them. It may change at any time",
            &options->policy});
  line.Add({"insecure", 0, "",
            "listen in plain text where other hosts can connect: whoever is on "
            "the way may read and change the memory of what is restored",
            &options->insecure});
  line.Add({"connections-per-client", 0, "N",
            "how many a host may have at a time; a restore needs three "
            "(default: 1024)",
            &options->connections_per_client});
  line.Add({"streams-per-client", 0, "N",
            "how many streams of pages a client may have at a time (default: "
            "1024)",
            &options->streams_per_client});
  line.Add({"bandwidth-per-client", 0, "MIB",
            "how many MiB of pages a second a client gets at most, all its "
            "streams together; pages that threads wait for first (default: no "
            "limit)",
            &options->mib_per_client});
  line.Add({"requests-per-client", 0, "N",
            "how many requests a second of a client are answered at most "
            "(default: no limit)",
            &options->requests_per_client});
  line.Add(SandboxOption(&options->sandbox));
  line.Add({"ready-fd", 0, "N",
            "write a newline to this descriptor, and close it, when serving",
            &options->ready_fd});
  line.Add({"stop-deadline", 0, "DURATION",
            "how long SIGTERM waits for answers under way (default: 5s)",
            &options->stop_deadline});
  line.Add({"log-level", 0, "LEVEL",
            "debug, info, warning or error (default: info)",
            LogLevelInto(&options->log_level)});
  line.Add({"log-file", 0, "FILE", "append the log to FILE, not to stderr",
            &options->log_file});
  line.Examples(kExamples);
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return exit_code;
  }
  if (options->sink.empty() && !options->sink_listen.empty()) {
    return line.Complain("--sink-listen is of use with --sink only");
  }
  if (!options->sink.empty() && options->sink_listen.empty()) {
    options->sink_listen = kSinkListen;
  }
  if (options->root.empty()) options->root = options->sink;
  if (options->images.empty() && options->root.empty()) {
    return line.Complain("nothing to serve: give --image, --root or --sink");
  }
  const bool plain = options->tls.empty() && !options->insecure;
  if (plain && !IsLocalAddress(options->listen)) {
    return line.Complain(absl::StrCat(
        "other hosts can reach ", options->listen,
        ", and without TLS what they are sent is neither encrypted nor "
        "authenticated: give --tls DIR, or --insecure"));
  }
  if (!options->sink.empty() && plain &&
      !IsLocalAddress(options->sink_listen)) {
    return line.Complain(absl::StrCat(
        "other hosts can reach ", options->sink_listen,
        ", and without TLS anybody there may send dumps, or read those that "
        "come: give --tls DIR, or --insecure"));
  }
  if (absl::StartsWith(options->sink_listen, "unix:")) {
    return line.Complain("criu sends dumps to TCP ports only: --sink-listen");
  }
  if (!options->tls.empty() && options->insecure) {
    return line.Complain("--tls and --insecure exclude each other");
  }
  if (!options->tls.empty() && absl::StartsWith(options->listen, "unix:")) {
    return line.Complain("a Unix socket has no use for --tls");
  }
  if (options->connections_per_client == 0 ||
      options->streams_per_client == 0) {
    return line.Complain(
        "--connections-per-client and --streams-per-client must be at least 1");
  }
  return std::nullopt;
}

}  // namespace pagelift
