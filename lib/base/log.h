#ifndef PAGELIFT_LIB_BASE_LOG_H_
#define PAGELIFT_LIB_BASE_LOG_H_

#include <sstream>
#include <string>

namespace pagelift {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

// Where log lines go: a descriptor of our own (default: 2) and the least level
// that is written (default: kInfo). A log file must never be shared with a
// target: a fault taken inside write(2) holds the file's lock.
// Thread-safe. `fd` is borrowed and must outlive all logging.
void SetLogSink(int fd, LogLevel least);
int LogSinkDescriptor();  // Async-signal-safe.
bool LogEnabled(LogLevel level);

// One line of the log, written by one write(2) when the statement ends, in
// logfmt: `ts=… level=… at=file:line msg="…"`.
class LogLine {
 public:
  LogLine(LogLevel level, const char* file, int line);
  ~LogLine();
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  std::ostream& stream() { return stream_; }

 private:
  LogLevel level_;
  const char* file_;
  int line_;
  std::ostringstream stream_;
};

// For CHECK: writes the line, then aborts.
class FatalLine {
 public:
  FatalLine(const char* file, int line, const char* condition);
  [[noreturn]] ~FatalLine();
  std::ostream& stream() { return stream_; }

 private:
  const char* file_;
  int line_;
  std::ostringstream stream_;
};

// Makes a streaming expression void; & binds weaker than << and tighter than
// ?:.
struct LogVoid {
  void operator&(const std::ostream&) const {}
};

}  // namespace pagelift

// Expressions, so that an `if (x) LOG(…) << …; else …` is what it looks like.
#define LOG(level)                                                        \
  !::pagelift::LogEnabled(::pagelift::LogLevel::k##level)                 \
      ? (void)0                                                           \
      : ::pagelift::LogVoid() &                                           \
            ::pagelift::LogLine(::pagelift::LogLevel::k##level, __FILE__, \
                                __LINE__)                                 \
                .stream()

// For what our own logic makes impossible; never for what a peer or a target
// can cause.
#define CHECK(condition)                               \
  __builtin_expect(static_cast<bool>(condition), true) \
      ? (void)0                                        \
      : ::pagelift::LogVoid() &                        \
            ::pagelift::FatalLine(__FILE__, __LINE__, #condition).stream()

#ifdef NDEBUG
#define DCHECK(condition) \
  while (false) CHECK(condition)
#else
#define DCHECK(condition) CHECK(condition)
#endif

#endif  // PAGELIFT_LIB_BASE_LOG_H_
