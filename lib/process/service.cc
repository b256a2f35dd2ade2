#include "lib/process/service.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/sys_error.h"

namespace pagelift {

StopSignals::StopSignals() {
  std::signal(SIGPIPE, SIG_IGN);
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

absl::StatusOr<UniqueFd> OpenServiceLog(const std::string& path,
                                        LogLevel least) {
  UniqueFd file;
  if (!path.empty()) {
    file.reset(
        open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file.valid()) return SysError("open log file ", path);
  }
  SetLogSink(file.valid() ? file.get() : STDERR_FILENO, least);
  return file;
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

void TuneForBuffers() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 4 << 20);
  mallopt(M_ARENA_MAX, 2);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LOG(Warning) << "cannot raise the limit of open files";
  }
}

}  // namespace pagelift
