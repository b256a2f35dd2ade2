#include "daemon/migration/receiver/held_restore.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "daemon/migration/criu/criu_config.h"
#include "daemon/migration/criu/criu_rpc.h"
#include "daemon/migration/receiver/restore_keeper.h"
#include "daemon/migration/receiver/restore_words.h"
#include "daemon/migration/receiver/restored_processes.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/child_program.h"
#include "lib/process/criu_log.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

// Nothing tells that a keeper has died that has not said yet who it is.
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(100);

// Whether it is there; of ours, none that has ended is.
bool ReapIfOurs(const std::optional<ProcessName>& name) {
  absl::StatusOr<PidFd> process =
      name.has_value() ? OpenProcess(*name) : absl::NotFoundError("");
  if (!process.ok()) return false;
  siginfo_t ended = {};
  // By its number: as long as it is not waited for that is its own.
  return waitid(P_PID, static_cast<id_t>(process->pid()), &ended,
                WEXITED | WNOHANG) != 0 ||
         ended.si_pid == 0;
}

// The keeper last, if nothing else is left. Adds them to `killed`.
void KillAll(const RestoreNotes& notes, std::vector<ProcessName>& killed) {
  const std::vector<PidFd> left = RestoreProcesses(notes);
  for (const PidFd& process : left) {
    const absl::StatusOr<ProcessName> name = NameOfProcess(process.pid());
    if (name.ok()) killed.push_back(*name);
    (void)process.Kill();
  }
  const std::optional<PidFd> keeper = Alive(notes, notes.keeper);
  if (left.empty() && keeper.has_value()) (void)keeper->Kill();
}

}  // namespace

absl::Status HeldRestore::MakeReady(const std::string& directory,
                                    Options options) {
  ASSIGN_OR_RETURN(HeldRestore restore, Adopt(directory, std::move(options)));
  RETURN_IF_ERROR(restore.StartKeeper());
  RETURN_IF_ERROR(restore.WaitUntil(
      [](const RestoreSituation& now) {
        return now.notes.criu.has_value() || !now.under_way;
      },
      absl::Now() + restore.options_.patience));
  return restore.Judge();
}

absl::StatusOr<HeldRestore> HeldRestore::Start(const std::string& directory,
                                               Options options) {
  ASSIGN_OR_RETURN(HeldRestore restore, Adopt(directory, std::move(options)));
  RETURN_IF_ERROR(
      CriuConfig(CriuCommand::kRestore, restore.options_.criu_options)
          .status());
  const RestoreNotes notes = restore.directory_.Read();
  const bool is_ready = notes.of_this_boot && !notes.begun && !notes.aborted &&
                        restore.directory_.HasKeeper();
  if (!is_ready) RETURN_IF_ERROR(restore.StartKeeper());
  // Of an earlier run, it would explain nothing.
  unlink(restore.LogPath().c_str());
  CriuWork what;
  what.images = restore.options_.images;
  what.work_dir = restore.options_.work_dir;
  what.log_file = kLog;
  what.lazy = restore.options_.lazy;
  what.options = restore.options_.criu_options;
  RETURN_IF_ERROR(restore.directory_.NoteBegun(ToWords(what)));
  return restore;
}

absl::Status HeldRestore::StartKeeper() {
  const RestoreSituation before = LookAt(directory_);
  if (before.notes.of_this_boot && !before.NothingHasRun()) {
    return absl::FailedPreconditionError(
        "what an earlier restore has made may have run");
  }
  ASSIGN_OR_RETURN(const UniqueFd lock, directory_.LockForKeeper());
  if (!RestoreProcesses(before.notes).empty()) {
    return absl::FailedPreconditionError(
        "something of an earlier restore is left");
  }
  RETURN_IF_ERROR(directory_.Renew());
  unlink(KeeperLogPath().c_str());
  ProgramStart start;
  start.argv = {options_.keeper_program, kRestoreKeeperMode,
                absl::StrCat(lock.get()), options_.criu};
  start.keep = {lock.get()};
  start.output = KeeperLogPath();
  start.own_session = true;
  return ChildProgram::Start(start).status();
}

absl::StatusOr<HeldRestore> HeldRestore::Adopt(const std::string& directory,
                                               Options options) {
  ASSIGN_OR_RETURN(RestoreDirectory opened, RestoreDirectory::Open(directory));
  return HeldRestore(directory, std::move(opened), std::move(options));
}

absl::Status HeldRestore::WhyFailed(const RestoreNotes& notes) const {
  std::string what;
  if (notes.exit_code.has_value()) {
    what =
        absl::StrCat("criu restore failed (exit code ", *notes.exit_code, ")");
  } else {
    what = "criu restore has ended, and nobody knows how";
    const std::string said = ReadFile(KeeperLogPath()).value_or("");
    if (!said.empty()) {
      absl::StrAppend(&what, " (", absl::StripSuffix(said, "\n"), ")");
    }
  }
  return absl::AbortedError(
      absl::StrCat(what, ExplainCriuFailure(options_.criu, LogPath())));
}

absl::Status HeldRestore::WaitUntil(
    absl::FunctionRef<bool(const RestoreSituation&)> is,
    absl::Time deadline) const {
  const UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const std::string path = absl::StrCat("/proc/self/fd/", directory_.fd());
  if (!watch.valid() ||
      inotify_add_watch(watch.get(), path.c_str(),
                        IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return SysError("inotify ", path_);
  }
  while (true) {
    const RestoreSituation now = LookAt(directory_);
    if (is(now)) return absl::OkStatus();
    const std::optional<PidFd> keeper = Alive(now.notes, now.notes.keeper);
    const std::optional<PidFd> criu = Alive(now.notes, now.notes.criu);
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the restore in ", path_, " is still ", ToString(now.State())));
    }
    pollfd changed[] = {{watch.get(), POLLIN, 0},
                        {keeper.has_value() ? keeper->fd() : -1, POLLIN, 0},
                        {criu.has_value() ? criu->fd() : -1, POLLIN, 0}};
    const int64_t wait =
        absl::ToInt64Milliseconds(std::min(left, kBetweenLooks));
    poll(changed, 3, static_cast<int>(wait) + 1);
    char events[4096];
    while (read(watch.get(), events, sizeof(events)) > 0) {
    }
  }
}

absl::Status HeldRestore::WaitHeld(absl::Time deadline) {
  RETURN_IF_ERROR(WaitUntil(
      [](const RestoreSituation& now) {
        if (!now.under_way) return true;
        // Not if criu has died of it and the keeper is about to bury the rest.
        return now.notes.held() && Alive(now.notes, now.notes.criu).has_value();
      },
      deadline));
  return Judge();
}

absl::Status HeldRestore::LetGo() {
  const RestoreSituation now = LookAt(directory_);
  if (now.State() == HeldRestoreState::kGone) return WhyFailed(now.notes);
  if (now.notes.aborted) {
    return absl::AbortedError(
        absl::StrCat("the restore in ", path_, " is being taken back"));
  }
  if (now.notes.passed) return absl::OkStatus();
  for (const ProcessName& task : now.notes.tasks) {
    // Criu would wait for it for ever.
    if (!Alive(now.notes, task).has_value()) {
      return absl::AbortedError(
          absl::StrCat("task ", task.pid, " has died while it was held"));
    }
  }
  if (!gate_.valid()) {
    ASSIGN_OR_RETURN(gate_, directory_.OpenGate());
  }
  // First: it counts from here on. Whoever finds it not noted knows that nobody
  // has said it.
  RETURN_IF_ERROR(directory_.NoteLetGo());
  return SendWord(gate_.get(), kCommitWord);
}

absl::Status HeldRestore::WaitRunning(absl::Time deadline) {
  RETURN_IF_ERROR(WaitUntil(
      [](const RestoreSituation& now) {
        // What criu then still does is to let go of the tasks; if it dies, the
        // kernel does that.
        if (now.notes.resuming) return true;
        return !now.under_way && now.State() != HeldRestoreState::kLetGo;
      },
      deadline));
  return Judge();
}

absl::Status HeldRestore::EndCriu(absl::Time deadline) {
  return WaitUntil(
      [](const RestoreSituation& now) {
        const std::optional<PidFd> criu = Alive(now.notes, now.notes.criu);
        if (criu.has_value()) (void)criu->Kill();
        return !now.under_way && now.State() != HeldRestoreState::kLetGo;
      },
      deadline);
}

absl::Status HeldRestore::Judge() {
  const RestoreSituation now = LookAt(directory_);
  ReapIfOurs(now.notes.keeper);
  if (now.State() != HeldRestoreState::kGone) return absl::OkStatus();
  return WhyFailed(now.notes);
}

void HeldRestore::ReapKeeper(absl::Duration patience) const {
  const RestoreNotes notes = directory_.Read();
  if (!notes.of_this_boot || !notes.keeper.has_value()) return;
  const absl::StatusOr<PidFd> keeper = OpenProcess(*notes.keeper);
  if (!keeper.ok()) return;
  pollfd ended = {keeper->fd(), POLLIN, 0};
  poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(patience)));
  ReapIfOurs(notes.keeper);
}

absl::Status HeldRestore::Abort(absl::Time deadline) {
  const RestoreSituation before = LookAt(directory_);
  if (before.notes.of_this_boot && !before.NothingHasRun()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the restore in ", path_, " was let go"));
  }
  // Once it is killed nothing else tells.
  if (before.notes.of_this_boot && !before.notes.aborted) {
    RETURN_IF_ERROR(directory_.NoteAborted());
  }
  const auto is_gone = [](const RestoreSituation& now) {
    return now.over && RestoreProcesses(now.notes).empty();
  };
  // Criu takes back more than we could: rules of the firewall, for one.
  if (!before.over && !gate_.valid()) {
    absl::StatusOr<UniqueFd> gate = directory_.OpenGate();
    if (gate.ok()) gate_ = *std::move(gate);
  }
  if (gate_.valid()) (void)SendWord(gate_.get(), kAbortWord);
  const absl::Duration patience =
      before.under_way ? options_.patience : absl::ZeroDuration();
  if (!WaitUntil(is_gone, std::min(deadline, absl::Now() + patience)).ok()) {
    std::vector<ProcessName> killed;
    RETURN_IF_ERROR(WaitUntil(
        [&](const RestoreSituation& now) {
          KillAll(now.notes, killed);
          return is_gone(now);
        },
        deadline));
    // Whose numbers are to be free for the next run. Not ours to wait for long:
    // some parent may never ask for its dead.
    (void)WaitUntil(
        [&killed](const RestoreSituation&) {
          return std::none_of(killed.begin(), killed.end(), ReapIfOurs);
        },
        std::min(deadline, absl::Now() + options_.patience));
  }
  ReapIfOurs(directory_.Read().keeper);
  return absl::OkStatus();
}

}  // namespace pagelift
