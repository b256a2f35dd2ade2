#include "lib/base/log.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace pagelift {
namespace {

std::atomic<int> g_fd{2};
std::atomic<int> g_least{static_cast<int>(LogLevel::kInfo)};

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

const char* Basename(const char* file) {
  const char* slash = std::strrchr(file, '/');
  return slash == nullptr ? file : slash + 1;
}

void Write(const char* level, const char* file, int line,
           const std::string& message) {
  std::string text = absl::StrCat(
      "ts=",
      absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(),
                       absl::UTCTimeZone()),
      " level=", level, " tid=", syscall(SYS_gettid), " at=", Basename(file),
      ":", line, " msg=\"", absl::Utf8SafeCEscape(message), "\"\n");
  // One write: lines of several threads do not mix. A log that cannot be
  // written is no reason to stop serving.
  ssize_t ignored = write(LogSinkDescriptor(), text.data(), text.size());
  (void)ignored;
}

}  // namespace

void SetLogSink(int fd, LogLevel least) {
  g_fd.store(fd, std::memory_order_relaxed);
  g_least.store(static_cast<int>(least), std::memory_order_relaxed);
}

int LogSinkDescriptor() { return g_fd.load(std::memory_order_relaxed); }

bool LogEnabled(LogLevel level) {
  return static_cast<int>(level) >= g_least.load(std::memory_order_relaxed);
}

LogLine::LogLine(LogLevel level, const char* file, int line)
    : level_(level), file_(file), line_(line) {}

LogLine::~LogLine() { Write(Name(level_), file_, line_, stream_.str()); }

FatalLine::FatalLine(const char* file, int line, const char* condition)
    : file_(file), line_(line) {
  stream_ << "CHECK failed: " << condition << " ";
}

FatalLine::~FatalLine() {
  Write("fatal", file_, line_, stream_.str());
  std::abort();
}

}  // namespace pagelift
