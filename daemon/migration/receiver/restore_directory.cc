#include "daemon/migration/receiver/restore_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/boot_id.h"

namespace pagelift {
namespace {

constexpr char kGate[] = "gate";
constexpr char kHeld[] = "held";
constexpr char kPassed[] = "passed";
constexpr char kResuming[] = "resuming";
constexpr char kBoot[] = "boot";
constexpr char kKeeper[] = "keeper";
constexpr char kBegun[] = "begun";
constexpr char kCriu[] = "criu";
constexpr char kTasks[] = "tasks";
constexpr char kAborted[] = "aborted";
constexpr char kLetGo[] = "let-go";
constexpr char kExit[] = "restore.exit";

UniqueFd Reopened(int directory) {
  return UniqueFd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

absl::StatusOr<RestoreDirectory> RestoreDirectory::Open(
    const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError("mkdir ", path);
  }
  UniqueFd directory(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return SysError("open ", path);
  return RestoreDirectory(std::move(directory));
}

absl::StatusOr<UniqueFd> RestoreDirectory::LockForKeeper() const {
  // A lock belongs to what was opened, and to duplicates of it.
  UniqueFd lock = Reopened(fd());
  if (!lock.valid()) return SysError("open the directory of a restore");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return SysError("lock the directory of a restore");
    return absl::FailedPreconditionError(
        "an earlier restore here has not ended yet");
  }
  return lock;
}

bool RestoreDirectory::HasKeeper() const {
  const UniqueFd lock = Reopened(fd());
  if (!lock.valid()) return false;
  // Shared, so that several may look at once.
  if (flock(lock.get(), LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  // By name: a forked child of ours may have the descriptor until it executes
  // its program.
  flock(lock.get(), LOCK_UN);
  return false;
}

absl::Status RestoreDirectory::Renew() const {
  for (const char* name : {kBoot, kGate, kHeld, kPassed, kResuming, kKeeper,
                           kBegun, kCriu, kTasks, kAborted, kLetGo, kExit}) {
    if (unlinkat(fd(), name, 0) != 0 && errno != ENOENT) {
      return SysError("remove ", name);
    }
  }
  if (mkfifoat(fd(), kGate, 0600) != 0) return SysError("mkfifo ", kGate);
  return Write(kBoot, BootId().value_or(""));
}

absl::StatusOr<UniqueFd> RestoreDirectory::OpenGate() const {
  UniqueFd gate(
      openat(fd(), kGate, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (!gate.valid()) return SysError("open ", kGate);
  return gate;
}

RestoreNotes RestoreDirectory::Read() const {
  RestoreNotes notes;
  const std::optional<std::string> boot = ReadLine(kBoot);
  notes.of_this_boot = boot.has_value() && *boot == BootId().value_or("");
  notes.keeper = ReadName(kKeeper);
  notes.begun = Has(kBegun);
  notes.criu = ReadName(kCriu);
  notes.root = ReadName(kHeld);
  const std::string tasks =
      ReadFile(absl::StrCat("/proc/self/fd/", fd(), "/", kTasks)).value_or("");
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(tasks, '\n'))) {
    const std::optional<ProcessName> task = ProcessName::FromText(line);
    if (task.has_value()) notes.tasks.push_back(*task);
  }
  notes.aborted = Has(kAborted);
  notes.let_go = Has(kLetGo);
  notes.passed = Has(kPassed);
  notes.resuming = Has(kResuming);
  int code = 0;
  if (absl::SimpleAtoi(ReadLine(kExit).value_or(""), &code)) {
    notes.exit_code = code;
  }
  return notes;
}

absl::Status RestoreDirectory::NoteKeeper(const ProcessName& keeper) const {
  return Write(kKeeper, keeper.ToText());
}
absl::Status RestoreDirectory::NoteBegun(
    const std::vector<std::string>& words) const {
  // What is between words is in none of them.
  return Write(kBegun, absl::StrJoin(words, absl::string_view("\0", 1)));
}
absl::StatusOr<std::vector<std::string>> RestoreDirectory::ReadBegun() const {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(absl::StrCat("/proc/self/fd/", fd(), "/", kBegun)));
  return std::vector<std::string>(
      absl::StrSplit(absl::StripSuffix(text, "\n"), '\0'));
}
absl::Status RestoreDirectory::NoteCriu(const ProcessName& criu) const {
  return Write(kCriu, criu.ToText());
}
absl::Status RestoreDirectory::NoteHeld(const ProcessName& root) const {
  return Write(kHeld, root.ToText());
}
absl::Status RestoreDirectory::NoteTasks(absl::Span<const PidFd> tasks) const {
  std::vector<std::string> lines;
  for (const PidFd& task : tasks) {
    const absl::StatusOr<ProcessName> name = NameOfProcess(task.pid());
    if (name.ok()) lines.push_back(name->ToText());
  }
  return Write(kTasks, absl::StrJoin(lines, "\n"));
}
absl::Status RestoreDirectory::NoteAborted() const {
  // The keeper and who tells it to end may both do, and be in each other's way.
  const absl::Status noted = Write(kAborted, "");
  return noted.ok() ? noted : Write(kAborted, "");
}
absl::Status RestoreDirectory::NoteLetGo() const { return Write(kLetGo, ""); }
absl::Status RestoreDirectory::NotePassed() const { return Write(kPassed, ""); }
absl::Status RestoreDirectory::NoteResuming() const {
  return Write(kResuming, "");
}
absl::Status RestoreDirectory::NoteExit(int exit_code) const {
  return Write(kExit, absl::StrCat(exit_code));
}

bool RestoreDirectory::IsGone() const {
  struct stat info;
  return fstat(fd(), &info) != 0 || info.st_nlink == 0;
}

absl::Status RestoreDirectory::Write(const std::string& name,
                                     const std::string& text) const {
  return ReplaceUnsynced(fd(), name, absl::StrCat(text, "\n"));
}

std::optional<std::string> RestoreDirectory::ReadLine(
    const std::string& name) const {
  const UniqueFd file(openat(fd(), name.c_str(),
                             O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  char text[256];
  const ssize_t length =
      file.valid() ? read(file.get(), text, sizeof(text)) : -1;
  if (length <= 0 || text[length - 1] != '\n') return std::nullopt;
  return std::string(text, static_cast<size_t>(length) - 1);
}

std::optional<ProcessName> RestoreDirectory::ReadName(
    const std::string& name) const {
  return ProcessName::FromText(ReadLine(name).value_or(""));
}

bool RestoreDirectory::Has(const char* name) const {
  return faccessat(fd(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::Status SendWord(int gate, const std::string& word) {
  // Less than PIPE_BUF: all of it, or nothing.
  if (write(gate, word.data(), word.size()) !=
      static_cast<ssize_t>(word.size())) {
    return SysError("write to the gate of a restore");
  }
  return absl::OkStatus();
}

}  // namespace pagelift
