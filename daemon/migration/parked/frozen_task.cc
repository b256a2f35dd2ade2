#include "daemon/migration/parked/frozen_task.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "daemon/migration/parked/repaired_sockets.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

std::string MemoryPath(pid_t pid) {
  return absl::StrCat("/proc/", pid, "/mem");
}

// Of a process that was reaped the kernel knows no number any more: the
// descriptor means nobody, so it does no harm.
bool IsPidFdOf(int fd, pid_t pid) {
  const absl::StatusOr<std::string> info =
      ReadFile(absl::StrCat("/proc/self/fdinfo/", fd));
  if (!info.ok()) return false;
  for (absl::string_view line : absl::StrSplit(*info, '\n')) {
    if (!absl::ConsumePrefix(&line, "Pid:\t")) continue;
    return line == absl::StrCat(pid) || line == "-1";
  }
  return false;
}

bool IsMemoryOf(int fd, pid_t pid) {
  std::error_code none;
  const std::string path =
      std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", fd), none);
  // " (deleted)" follows when the process is gone.
  return path == MemoryPath(pid) ||
         absl::StartsWith(path, absl::StrCat(MemoryPath(pid), " "));
}

absl::Status HasEndedError(const TaskName& name) {
  return absl::NotFoundError(
      absl::StrCat("process ", name.process.pid, " has ended"));
}

}  // namespace

absl::StatusOr<FrozenTask> FrozenTask::Open(const TaskName& name) {
  FrozenTask task(name);
  ASSIGN_OR_RETURN(task.process_, OpenProcess(name.process));
  const std::string path = MemoryPath(name.process.pid);
  task.memory_.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int error = errno;
  // It still is that process's number, so it was when the file was opened.
  if (task.HasEnded()) return HasEndedError(name);
  if (!task.memory_.valid()) return SysErrorOf(error, "open ", path);
  return task;
}

absl::StatusOr<FrozenTask> FrozenTask::Adopt(const TaskName& name, int pidfd,
                                             int memory_fd) {
  if (!IsPidFdOf(pidfd, name.process.pid) ||
      !IsMemoryOf(memory_fd, name.process.pid)) {
    return absl::NotFoundError(absl::StrCat("descriptors ", pidfd, " and ",
                                            memory_fd, " are not of process ",
                                            name.process.pid));
  }
  FrozenTask task(name);
  task.process_ = PidFd::Adopt(UniqueFd(pidfd), name.process.pid);
  task.memory_.reset(memory_fd);
  return task;
}

FrozenTask FrozenTask::Ended(const TaskName& name) { return FrozenTask(name); }

bool FrozenTask::HasEnded() const {
  return !process_.has_value() || process_->HasExited();
}

absl::Status FrozenTask::Signal(int signal) const {
  if (!process_.has_value()) return HasEndedError(name_);
  return process_->Signal(signal);
}

absl::Status FrozenTask::EndRepairOfSockets() const {
  if (!process_.has_value()) return HasEndedError(name_);
  return pagelift::EndRepairOfSockets(*process_);
}

absl::Status FrozenTask::CheckTraced() const { return CheckThreads(false); }
absl::Status FrozenTask::CheckStopped() const { return CheckThreads(true); }

absl::Status FrozenTask::CheckThreads(bool stopped_will_do) const {
  const pid_t pid = name_.process.pid;
  std::error_code ended;
  std::filesystem::directory_iterator thread(
      absl::StrCat("/proc/", pid, "/task"), ended);
  for (; !ended && thread != std::filesystem::directory_iterator();
       thread.increment(ended)) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile(absl::StrCat(thread->path().string(), "/stat")));
    ASSIGN_OR_RETURN(const ProcessStat stat, ProcessStat::Parse(text));
    if (stat.state == 't' || (stopped_will_do && stat.state == 'T')) continue;
    if (HasEnded()) break;
    return absl::AbortedError(
        absl::StrCat("process ", pid, " is not frozen any more"));
  }
  // Then what was looked at may have been another one's.
  return HasEnded() ? HasEndedError(name_) : absl::OkStatus();
}

absl::StatusOr<PageCount> FrozenTask::Read(PageId first,
                                           absl::Span<std::byte> buffer) const {
  size_t done = 0;
  std::string why = "it has ended";
  while (memory_.valid() && done < buffer.size()) {
    const ssize_t n =
        pread(memory_.get(), buffer.data() + done, buffer.size() - done,
              static_cast<off_t>(AddressOf(first) + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) why = std::string(SysError("pread").message());
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  const PageCount whole(done / kPageSize);
  if (PageCount(0) < whole) return whole;
  return absl::DataLossError(absl::StrCat(
      "page 0x", absl::Hex(AddressOf(first)), " of the frozen process ",
      name_.process.pid, " cannot be read: ", why));
}

}  // namespace pagelift
