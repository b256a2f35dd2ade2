#include "lib/process/service.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

// Keeps freed memory for the next buffers instead of giving it back and
// faulting it in again: receiving pages then takes a quarter less processor
// time, for some 20 MiB. Also turns off Abseil's search for lock cycles, which
// the compiler and tests do for us.
void TuneForBuffers() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  mallopt(M_ARENA_MAX, 2);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

// As many descriptors as we are allowed: every forked child of a target takes
// one.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LOG(Warning) << "cannot raise the limit of open files";
  }
}

// Sends the log to where it is to go. The descriptor must live as long as
// anybody logs.
absl::StatusOr<UniqueFd> OpenLog(const ServiceLog& log) {
  UniqueFd file;
  if (!log.file.empty()) {
    file.reset(open(log.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                    0640));
    if (!file.valid()) return SysError("open log file ", log.file);
  }
  SetLogSink(file.valid() ? file.get() : STDERR_FILENO, log.least);
  return file;
}

}  // namespace

StopSignals::StopSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on the size of files is an error like others.
  std::signal(SIGXFSZ, SIG_IGN);
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

std::optional<int> StopSignals::Wait(absl::Duration timeout) {
  int signal;
  if (timeout == absl::InfiniteDuration()) {
    sigwait(&signals_, &signal);
    return signal;
  }
  const timespec spec = absl::ToTimespec(timeout);
  signal = sigtimedwait(&signals_, nullptr, &spec);
  if (signal < 0) return std::nullopt;
  return signal;
}

ArgumentTarget LogLevelInto(LogLevel* level) {
  return [level](const std::string& value) {
    static constexpr std::pair<const char*, LogLevel> kLevels[] = {
        {"debug", LogLevel::kDebug},
        {"info", LogLevel::kInfo},
        {"warning", LogLevel::kWarning},
        {"error", LogLevel::kError},
    };
    for (const auto& [name, candidate] : kLevels) {
      if (value != name) continue;
      *level = candidate;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("'", value, "' is not debug, info, warning or error"));
  };
}

absl::Status TellReady(int fd, char word) {
  if (fd < 0) return absl::OkStatus();
  UniqueFd ready(fd);
  if (write(ready.get(), &word, 1) != 1) {
    return SysError("tell readiness on descriptor ", fd);
  }
  return absl::OkStatus();
}

int RunService(absl::string_view program, const ServiceLog& log,
               absl::FunctionRef<absl::Status(StopSignals&)> serve) {
  TuneForBuffers();
  StopSignals signals;
  RaiseDescriptorLimit();
  absl::StatusOr<UniqueFd> file = OpenLog(log);
  const absl::Status status = file.ok() ? serve(signals) : file.status();
  if (!status.ok()) {
    if (!log.file.empty()) LOG(Error) << status.message();
    // Also where nobody reads the log.
    fprintf(stderr, "%s: %s\n", std::string(program).c_str(),
            std::string(status.message()).c_str());
  }
  // The file is closed with this.
  SetLogSink(STDERR_FILENO, log.least);
  return status.ok() ? 0 : 1;
}

}  // namespace pagelift
