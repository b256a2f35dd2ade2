#ifndef PAGELIFT_DAEMON_PAGER_PAGER_OPTIONS_H_
#define PAGELIFT_DAEMON_PAGER_PAGER_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "daemon/migration/incoming/receiver_options.h"
#include "daemon/pager/event_loop/event_loop.h"
#include "daemon/pager/session/session_limits.h"
#include "lib/base/log.h"
#include "lib/process/sandbox_mode.h"
#include "lib/transport/compression_choice.h"

namespace pagelift {

inline constexpr char kDefaultControlSocket[] = "/run/pagelift/pageliftd.sock";

// What pageliftd is told on its command line.
struct PagerOptions {
  std::string control = kDefaultControlSocket;
  int ready_fd = -1;
  // Ends the daemon when it has had no session for so long; zero: never.
  absl::Duration exit_when_idle;
  // How long the worker may stand still; zero: for ever.
  absl::Duration watchdog = absl::Seconds(30);
  bool keep_working_sets = false;
  bool check_invariants = false;
  absl::Duration spin = EventLoop::kDefaultSpin;
  SessionLimits limits;
  Compression compression = Compression::kAuto;
  SandboxMode sandbox = SandboxMode::kOn;
  ReceiverOptions receiver;
  LogLevel log_level = LogLevel::kInfo;
  std::string log_file;  // Empty: stderr.
  // Only tells whether we can go on with what a daemon of these versions has
  // left; see VersionsWeLeave().
  std::string can_replace;
};

// Empty: go on. Otherwise main()'s result; the user has been told.
std::optional<int> ParsePagerOptions(int argc, const char* const argv[],
                                     PagerOptions* options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_PAGER_OPTIONS_H_
