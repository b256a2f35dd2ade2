// A slow link between two hosts of a test, as a TCP proxy.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/process/service.h"
#include "tests/links/bottleneck.h"
#include "tests/links/link_proxy.h"

namespace pagelift::links {
namespace {

LinkProxy* the_proxy = nullptr;

struct Options {
  std::string listen;
  std::string server;
  absl::Duration delay;
  absl::Duration jitter;
  uint64_t megabits = 0;
  uint64_t line_kib = 256;
  absl::Duration stall_every;
  absl::Duration stall;
  uint64_t seed = 1;
  int ready_fd = -1;
};

absl::StatusOr<std::unique_ptr<LinkProxy>> Listen(const Options& options) {
  absl::StatusOr<sockaddr_in> at = ParseAddress(options.listen);
  if (!at.ok()) return at.status();
  absl::StatusOr<sockaddr_in> server = ParseAddress(options.server);
  if (!server.ok()) return server.status();
  Bottleneck::Options way;
  way.bytes_per_second = static_cast<double>(options.megabits) * 1e6 / 8;
  way.delay = options.delay;
  way.jitter = options.jitter;
  way.stall_every = options.stall_every;
  way.stall = options.stall;
  way.line_bytes = static_cast<size_t>(options.line_kib) << 10;
  way.seed = options.seed;
  return LinkProxy::Listen(*at, *server, way);
}

int Main(int argc, char* argv[]) {
  Options options;
  CommandLine line("link_proxy",
                   "Passes TCP connections on, as a slow link would.");
  line.Add({"delay", 0, "DURATION", "of everything, each way", &options.delay});
  line.Add({"jitter", 0, "DURATION", "later by up to this, at random",
            &options.jitter});
  line.Add({"mbit", 0, "N",
            "how much goes through in a second, each way, of all connections "
            "together; default: no limit",
            &options.megabits});
  line.Add({"line-kib", 0, "N", "how much may wait to go through",
            &options.line_kib});
  line.Add({"stall-every", 0, "DURATION", "nothing leaves that often...",
            &options.stall_every});
  line.Add({"stall", 0, "DURATION", "...for that long", &options.stall});
  line.Add({"seed", 0, "N", "of the jitter", &options.seed});
  line.Add({"ready-fd", 0, "N", "write a newline there once it listens",
            &options.ready_fd});
  line.AddPositional({"LISTEN", "ADDRESS:PORT", &options.listen});
  line.AddPositional({"SERVER", "ADDRESS:PORT", &options.server});
  line.Examples(
      "SIGUSR1 freezes it, SIGUSR2 lets it go on.\n\n"
      "Examples:\n"
      "  link_proxy 127.0.0.1:7001 10.0.0.2:7077 --delay 5ms\n"
      "  link_proxy 127.0.0.1:7001 10.0.0.2:7077 --mbit 1000 --jitter 200us\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  absl::StatusOr<std::unique_ptr<LinkProxy>> proxy = Listen(options);
  if (!proxy.ok()) {
    fprintf(stderr, "link_proxy: %s\n", proxy.status().ToString().c_str());
    return 1;
  }
  the_proxy = proxy->get();
  signal(SIGUSR1, [](int) { the_proxy->Freeze(true); });
  signal(SIGUSR2, [](int) { the_proxy->Freeze(false); });
  signal(SIGTERM, [](int) { the_proxy->Stop(); });
  absl::Status status = TellReady(options.ready_fd, '\n');
  if (status.ok()) status = (*proxy)->Run();
  if (status.ok()) return 0;
  fprintf(stderr, "link_proxy: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace pagelift::links

int main(int argc, char* argv[]) { return pagelift::links::Main(argc, argv); }
