#ifndef PAGELIFT_LIB_PROCESS_SERVICE_H_
#define PAGELIFT_LIB_PROCESS_SERVICE_H_

#include <csignal>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// What every long-running program of ours does at its start.

// SIGTERM and SIGINT as something to wait for. Made before the first thread,
// which inherit that they are blocked; SIGPIPE is ignored from then on.
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

// Sends the log to `path`, or to stderr if that is empty. The descriptor must
// live as long as anybody logs.
absl::StatusOr<UniqueFd> OpenServiceLog(const std::string& path,
                                        LogLevel least);

// Takes a --log-level: debug, info, warning or error.
ArgumentTarget LogLevelInto(LogLevel* level);

// Tells whoever started us that we serve: writes `word` to `fd` and closes it.
// Nothing to do for a negative fd.
absl::Status TellReady(int fd, char word);

// Keeps freed memory for the next buffers instead of giving it back and
// faulting it in again: receiving pages then takes a quarter less processor
// time, for some 20 MiB. Also turns off Abseil's search for lock cycles, which
// the compiler and tests do for us. Before the first thread.
void TuneForBuffers();

// As many descriptors as we are allowed: every forked child of a target takes
// one.
void RaiseDescriptorLimit();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SERVICE_H_
