#ifndef PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_OPTIONS_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/process/sandbox_mode.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/page_door.h"

namespace pagelift {

// What pagelift-server is told on its command line.
struct PageServerOptions {
  std::string listen = "127.0.0.1:7077";
  std::map<std::string, std::string> images;  // Directory by name.
  std::string root;
  bool keep_working_sets = false;
  std::string sink;         // Directory; empty: no dumps are received.
  std::string sink_listen;  // Not empty if there is a sink.
  std::string tls;          // Directory; empty: plain text.
  bool insecure = false;
  std::string policy;  // File; empty: everybody may open everything.
  uint64_t connections_per_client = PageDoor::kMostOfAClient;
  uint64_t streams_per_client = ClientLimits::kStreams;
  uint64_t mib_per_client = 0;       // A second; 0: no limit.
  uint64_t requests_per_client = 0;  // A second; 0: no limit.
  SandboxMode sandbox = SandboxMode::kOn;
  int ready_fd = -1;
  LogLevel log_level = LogLevel::kInfo;
  std::string log_file;  // Empty: stderr.
  absl::Duration stop_deadline = absl::Seconds(5);
};

// Empty: go on. Otherwise main()'s result; the user has been told.
std::optional<int> ParsePageServerOptions(int argc, const char* const argv[],
                                          PageServerOptions* options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_OPTIONS_H_
