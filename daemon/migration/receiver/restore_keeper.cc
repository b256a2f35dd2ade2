#include "daemon/migration/receiver/restore_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restore_hook.h"
#include "daemon/migration/receiver/restored_processes.h"
#include "daemon/migration/receiver/restorer_wait.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"
#include "lib/process/descendants.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

std::string PathOf(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

// The hook as a program. Criu can start only what is a file and may be
// executed, which a file in the directory may not be; and after our death none
// starts any more: a criu that is not yet held fails.
absl::StatusOr<UniqueFd> MakeHook() {
  const UniqueFd writing(memfd_create("restore-hook", MFD_CLOEXEC));
  if (!writing.valid()) return SysError("memfd_create");
  if (write(writing.get(), kRestoreHook, strlen(kRestoreHook)) !=
      static_cast<ssize_t>(strlen(kRestoreHook))) {
    return SysError("write the hook");
  }
  // What is open for writing is not executed.
  UniqueFd hook(open(PathOf(writing.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!hook.valid()) return SysError("open the hook");
  return hook;
}

// Where the directory is; the hook needs a path.
absl::Status NameDirectory(int directory) {
  char path[PATH_MAX];
  const ssize_t length =
      readlink(PathOf(directory).c_str(), path, sizeof(path) - 1);
  if (length < 0) return SysError("readlink");
  path[length] = '\0';
  if (setenv(kRestoreDirectoryVariable, path, 1) != 0) {
    return SysError("setenv");
  }
  return absl::OkStatus();
}

class Keeper {
 public:
  static absl::Status Run(RestoreDirectory directory);

 private:
  Keeper(RestoreDirectory directory, UniqueFd gate, UniqueFd watch)
      : directory_(std::move(directory)),
        gate_(std::move(gate)),
        watch_(std::move(watch)) {}

  // Until criu is to be started: what is. Nothing: it never will be.
  absl::StatusOr<std::vector<std::string>> AwaitCommand() const;
  // Until criu has ended.
  void Await(const PidFd& criu);
  void Drain() const;
  bool IsRemoved() const;
  void Look();
  // After criu has failed.
  void Bury() const;

  const RestoreDirectory directory_;
  // Open from before criu is started until it has ended: what is said in it is
  // not lost, whoever says it and dies.
  const UniqueFd gate_;
  const UniqueFd watch_;
  bool tasks_noted_ = false;
};

void Keeper::Drain() const {
  char events[4096];
  while (read(watch_.get(), events, sizeof(events)) > 0) {
  }
}

bool Keeper::IsRemoved() const {
  struct stat info;
  return fstat(gate_.get(), &info) == 0 && info.st_nlink == 0;
}

absl::StatusOr<std::vector<std::string>> Keeper::AwaitCommand() const {
  while (!IsRemoved()) {
    const RestoreNotes notes = directory_.Read();
    if (notes.aborted) break;
    if (notes.begun) return directory_.ReadCommand();
    pollfd changed = {watch_.get(), POLLIN, 0};
    poll(&changed, 1, -1);
    Drain();
  }
  return std::vector<std::string>();
}

void Keeper::Look() {
  Drain();
  if (IsRemoved()) {
    // The hook that waits cannot see that the directory was removed, and nobody
    // else could tell it any more.
    const absl::Status told = SendWord(gate_.get(), kAbortWord);
    if (!told.ok()) LOG(Error) << told.message();
    return;
  }
  if (tasks_noted_) return;
  const RestoreNotes notes = directory_.Read();
  if (!notes.held()) return;
  // For who looks when we have died, and the root of them, too.
  tasks_noted_ = true;
  const absl::Status noted = directory_.NoteTasks(RestoredTasks(notes));
  if (!noted.ok()) LOG(Error) << noted.message();
}

void Keeper::Await(const PidFd& criu) {
  pollfd ready[] = {{criu.fd(), POLLIN, 0}, {watch_.get(), POLLIN, 0}};
  while (ready[0].revents == 0) {
    if (poll(ready, 2, -1) > 0 && ready[1].revents != 0) Look();
  }
}

void Keeper::Bury() const {
  const RestoreNotes notes = directory_.Read();
  std::vector<PidFd> tasks = RestoredTasks(notes);
  RestorerPlace place = PlaceInRestorer(tasks);
  // Those that criu has let go of go on by themselves for a moment. Who has run
  // so long and blocks all signals does so of its own.
  for (int look = 0; look < 100 && place == RestorerPlace::kInside; ++look) {
    usleep(10'000);
    tasks = RestoredTasks(notes);
    place = PlaceInRestorer(tasks);
  }
  // Without the notes only the tasks can tell.
  const bool may_run = notes.passed || directory_.IsGone();
  if (may_run && !tasks.empty() && place != RestorerPlace::kWaiting) {
    LOG(Error) << "criu restore has failed after it let the tasks run";
    return;
  }
  // Once they are killed nothing else tells.
  if (!tasks.empty() && place == RestorerPlace::kWaiting) {
    (void)directory_.NoteAborted();
  }
  do {
    for (const PidFd& process : DescendantsOf(getpid())) {
      (void)process.Kill();
    }
    // One at a time: what loses its parent becomes ours.
  } while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
}

absl::Status Keeper::Run(RestoreDirectory directory) {
  ASSIGN_OR_RETURN(UniqueFd gate, directory.OpenGate());
  UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch.valid() ||
      inotify_add_watch(watch.get(), PathOf(gate.get()).c_str(), IN_ATTRIB) <
          0 ||
      inotify_add_watch(watch.get(), PathOf(directory.fd()).c_str(),
                        IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return SysError("inotify");
  }
  RETURN_IF_ERROR(NameDirectory(directory.fd()));
  ASSIGN_OR_RETURN(const UniqueFd hook, MakeHook());
  Keeper keeper(std::move(directory), std::move(gate), std::move(watch));
  ProgramStart start;
  ASSIGN_OR_RETURN(start.argv, keeper.AwaitCommand());
  if (start.argv.empty()) return absl::OkStatus();
  start.argv.push_back("--action-script");
  start.argv.push_back(absl::StrCat("/proc/", getpid(), "/fd/", hook.get()));
  ASSIGN_OR_RETURN(ChildProgram criu, ChildProgram::Start(start));
  absl::Status noted = keeper.directory_.NoteCriu(
      NameOfProcess(criu.pid()).value_or(ProcessName()));
  if (!noted.ok()) {
    // Nobody could find it after our death.
    (void)criu.process().Kill();
  }
  keeper.Await(criu.process());
  ASSIGN_OR_RETURN(const int exit_code, criu.Wait());
  if (exit_code != 0) keeper.Bury();
  RETURN_IF_ERROR(keeper.directory_.NoteExit(exit_code));
  return noted;
}

}  // namespace

std::optional<int> RunRestoreKeeper(int argc, char* const* argv) {
  int fd = -1;
  if (argc != 3 || strcmp(argv[1], kRestoreKeeperMode) != 0)
    return std::nullopt;
  if (!absl::SimpleAtoi(argv[2], &fd) || fcntl(fd, F_GETFD) < 0) return 2;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1}) {
    signal(number, SIG_IGN);
  }
  RestoreDirectory directory = RestoreDirectory::Adopt(UniqueFd(fd));
  absl::Status status;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) status = SysError("prctl");
  // First of all: from now on whoever looks for us finds us.
  if (status.ok()) {
    status =
        directory.NoteKeeper(NameOfProcess(getpid()).value_or(ProcessName()));
  }
  if (status.ok()) {
    status = Keeper::Run(std::move(directory));
  }
  if (status.ok()) return 0;
  LOG(Error) << "the keeper of a restore: " << status.message();
  return 1;
}

}  // namespace pagelift
