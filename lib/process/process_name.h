#ifndef PAGELIFT_LIB_PROCESS_PROCESS_NAME_H_
#define PAGELIFT_LIB_PROCESS_PROCESS_NAME_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// A process for good, to be written down: its number may be given to another
// one, which has started later.
struct ProcessName {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // Since the host has started.

  // "PID TICKS", and back; nothing if it is not that.
  std::string ToText() const;
  static std::optional<ProcessName> FromText(std::string_view text);

  friend bool operator==(const ProcessName& a, const ProcessName& b) {
    return a.pid == b.pid && a.start_ticks == b.start_ticks;
  }
};

// What we want to know of /proc/PID/stat.
struct ProcessStat {
  char state = 0;  // As ps(1) shows it: 'T' is stopped, 't' is traced.
  uint64_t start_ticks = 0;

  // kNotFound if there is no such process.
  static absl::StatusOr<ProcessStat> Of(pid_t pid);
  // The same from the text of such a file. kInvalidArgument if it is not one.
  static absl::StatusOr<ProcessStat> Parse(std::string_view text);
};

// kNotFound if there is no such process; a zombie is one.
absl::StatusOr<ProcessName> NameOfProcess(pid_t pid);

// Holds the process of that name. kNotFound if it is not there any more, also
// if another one has its number.
absl::StatusOr<PidFd> OpenProcess(const ProcessName& name);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_PROCESS_NAME_H_
