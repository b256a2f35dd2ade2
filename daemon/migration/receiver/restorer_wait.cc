#include "daemon/migration/receiver/restorer_wait.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

// All but those that cannot be blocked, and SIGTRAP, by which CRIU stops a task
// on its last steps; of 64. Of a program's own doing it is rare: the C library
// keeps two others unblocked, but for some moments.
constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }
constexpr uint64_t kAllSignals = ~(Bit(SIGKILL) | Bit(SIGSTOP) | Bit(SIGTRAP));

bool BlocksAllSignals(const std::string& thread) {
  absl::StatusOr<std::string> status =
      ReadFile(absl::StrCat(thread, "/status"));
  if (!status.ok()) return false;
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    uint64_t blocked = 0;
    if (absl::ConsumePrefix(&line, "SigBlk:\t")) {
      return absl::SimpleHexAtoi(line, &blocked) &&
             (blocked & kAllSignals) == kAllSignals;
    }
  }
  return false;
}

// Whether it waits for a word of memory to change that has not.
bool WaitsForAWord(const std::string& thread) {
  absl::StatusOr<std::string> call = ReadFile(absl::StrCat(thread, "/syscall"));
  if (!call.ok()) return false;
  // The call's number, its six arguments, and two registers.
  const std::vector<absl::string_view> fields = absl::StrSplit(*call, ' ');
  int64_t number = 0;
  uint64_t address = 0, operation = 0, expected = 0;
  if (fields.size() < 4 || !absl::SimpleAtoi(fields[0], &number) ||
      !absl::SimpleHexAtoi(fields[1], &address) ||
      !absl::SimpleHexAtoi(fields[2], &operation) ||
      !absl::SimpleHexAtoi(fields[3], &expected)) {
    return false;  // It runs.
  }
  if (number != SYS_futex || (operation & FUTEX_CMD_MASK) != FUTEX_WAIT) {
    return false;
  }
  // Woken but not yet awake, it looks the same; but then the word has changed.
  const UniqueFd memory(
      open(absl::StrCat(thread, "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  uint32_t word = 0;
  return memory.valid() &&
         pread(memory.get(), &word, sizeof(word),
               static_cast<off_t>(address)) == sizeof(word) &&
         word == static_cast<uint32_t>(expected);
}

}  // namespace

RestorerPlace PlaceInRestorer(pid_t pid) {
  bool any = false;
  bool all_wait = true;
  std::error_code ended;
  for (const auto& thread : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", pid, "/task"), ended)) {
    any = true;
    if (!BlocksAllSignals(thread.path())) return RestorerPlace::kLeft;
    all_wait = all_wait && WaitsForAWord(thread.path());
  }
  if (!any) return RestorerPlace::kLeft;
  return all_wait ? RestorerPlace::kWaiting : RestorerPlace::kInside;
}

}  // namespace pagelift
