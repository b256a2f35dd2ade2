#ifndef PAGELIFT_LIB_PROCESS_SERVICE_H_
#define PAGELIFT_LIB_PROCESS_SERVICE_H_

#include <csignal>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/base/log.h"

namespace pagelift {

// What every long-running program of ours does.

// SIGTERM and SIGINT as something to wait for. Made before the first thread,
// which inherit that they are blocked; SIGPIPE and
// SIGXFSZ are ignored from then on.
//
// Thread-compatible.
class StopSignals {
 public:
  StopSignals();
  // The signal's number; nothing after `timeout` without one.
  std::optional<int> Wait(absl::Duration timeout = absl::InfiniteDuration());

 private:
  sigset_t signals_;
};

// The log of a program: in `file`, or on stderr if that is empty.
struct ServiceLog {
  std::string file;
  LogLevel least = LogLevel::kInfo;
};

// The life of such a program: prepares the process, opens its log, calls
// `serve`, which returns when all is served, and tells why it could not on
// stderr and in the log. Returns main()'s result. To be called before any
// thread is started.
int RunService(absl::string_view program, const ServiceLog& log,
               absl::FunctionRef<absl::Status(StopSignals&)> serve);

// Takes a --log-level: debug, info, warning or error.
ArgumentTarget LogLevelInto(LogLevel* level);

// Tells whoever started us that we serve: writes `word` to `fd` and closes it.
// Nothing to do for a negative fd.
absl::Status TellReady(int fd, char word);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SERVICE_H_
