#include "lib/process/process_name.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Of what comes after the name: fields 3 and 22 of proc_pid_stat(5).
constexpr size_t kState = 0;
constexpr size_t kStartTicks = 19;

absl::Status NoSuchProcess(pid_t pid) {
  return absl::NotFoundError(absl::StrCat("process ", pid, " has ended"));
}

}  // namespace

absl::StatusOr<ProcessStat> ProcessStat::Parse(std::string_view text) {
  const absl::string_view stat(text.data(), text.size());
  // The name is the process's own choice, parentheses and spaces included.
  const size_t name_ends = stat.rfind(')');
  std::vector<absl::string_view> fields;
  if (name_ends != absl::string_view::npos) {
    fields =
        absl::StrSplit(stat.substr(name_ends + 1), ' ', absl::SkipWhitespace());
  }
  ProcessStat result;
  if (fields.size() <= kStartTicks || fields[kState].size() != 1 ||
      !absl::SimpleAtoi(fields[kStartTicks], &result.start_ticks)) {
    return absl::InvalidArgumentError("not the stat of a process");
  }
  result.state = fields[kState][0];
  return result;
}

absl::StatusOr<ProcessStat> ProcessStat::Of(pid_t pid) {
  const absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return NoSuchProcess(pid);
  return Parse(*text);
}

std::string ProcessName::ToText() const {
  return absl::StrCat(pid, " ", start_ticks);
}

std::optional<ProcessName> ProcessName::FromText(std::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ' ');
  ProcessName name;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &name.pid) ||
      !absl::SimpleAtoi(words[1], &name.start_ticks) || name.pid <= 0) {
    return std::nullopt;
  }
  return name;
}

absl::StatusOr<ProcessName> NameOfProcess(pid_t pid) {
  ASSIGN_OR_RETURN(const ProcessStat stat, ProcessStat::Of(pid));
  return ProcessName{pid, stat.start_ticks};
}

absl::StatusOr<PidFd> OpenProcess(const ProcessName& name) {
  // First opened, then looked at: had the number changed hands in between, its
  // new owner would have started too late.
  ASSIGN_OR_RETURN(PidFd process, PidFd::Open(name.pid));
  ASSIGN_OR_RETURN(const ProcessName found, NameOfProcess(name.pid));
  if (!(found == name)) return NoSuchProcess(name.pid);
  return process;
}

}  // namespace pagelift
