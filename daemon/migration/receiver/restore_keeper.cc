#include "daemon/migration/receiver/restore_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "criu/rpc.pb.h"
#include "daemon/migration/criu/criu_rpc.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restore_words.h"
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

class Keeper {
 public:
  static absl::Status Run(RestoreDirectory directory, const std::string& criu);

 private:
  Keeper(RestoreDirectory directory, UniqueFd gate, UniqueFd watch)
      : directory_(std::move(directory)),
        gate_(std::move(gate)),
        watch_(std::move(watch)) {}

  // Waits until it is said what to restore. Nothing: nothing ever will be.
  absl::StatusOr<std::optional<CriuWork>> AwaitCommand(const PidFd& criu) const;
  // Whether criu has restored it, and let it run.
  absl::StatusOr<bool> Restore(CriuRpc& rpc, const PidFd& criu,
                               const CriuWork& restore) const;
  // At a point at which criu waits: whether it is to go on.
  bool MayGoOn(const criu::RpcNotice& notice, const PidFd& criu) const;
  // When all is restored: returns OK when it is to run.
  absl::Status Hold(pid_t root, const PidFd& criu) const;
  absl::Status AwaitWord(const PidFd& criu) const;
  // After criu has failed.
  void Bury() const;
  // The directory was removed: nobody can say or learn anything any more.
  bool IsRemoved() const;
  // Returns when there may be something new, or criu has ended: kUnavailable.
  absl::Status AwaitChange(const PidFd& criu) const;

  const RestoreDirectory directory_;
  // Open from before criu is started until it has ended: what is said in it is
  // not lost, whoever says it and dies.
  const UniqueFd gate_;
  const UniqueFd watch_;
};

bool Keeper::IsRemoved() const {
  struct stat info;
  return fstat(gate_.get(), &info) == 0 && info.st_nlink == 0;
}

absl::Status Keeper::AwaitChange(const PidFd& criu) const {
  pollfd changed[] = {{watch_.get(), POLLIN, 0},
                      {gate_.get(), POLLIN, 0},
                      {criu.fd(), POLLIN, 0}};
  if (poll(changed, 3, -1) < 0) return absl::OkStatus();  // A signal.
  char events[4096];
  while (read(watch_.get(), events, sizeof(events)) > 0) {
  }
  if (changed[2].revents != 0) return absl::UnavailableError("criu has ended");
  return absl::OkStatus();
}

absl::StatusOr<std::optional<CriuWork>> Keeper::AwaitCommand(
    const PidFd& criu) const {
  while (!IsRemoved()) {
    const RestoreNotes notes = directory_.Read();
    if (notes.aborted) break;
    if (notes.begun) {
      ASSIGN_OR_RETURN(const std::vector<std::string> words,
                       directory_.ReadBegun());
      ASSIGN_OR_RETURN(CriuWork restore, FromWords(words));
      return std::optional<CriuWork>(std::move(restore));
    }
    RETURN_IF_ERROR(AwaitChange(criu));
  }
  return std::optional<CriuWork>();
}

absl::Status Keeper::AwaitWord(const PidFd& criu) const {
  // Who has noted it and died has said it.
  if (directory_.Read().let_go) return absl::OkStatus();
  while (true) {
    if (IsRemoved()) return absl::AbortedError("nobody can tell any more");
    char word[64];
    const ssize_t size = read(gate_.get(), word, sizeof(word));
    if (size > 0) {
      return std::string(word, static_cast<size_t>(size)) == kCommitWord
                 ? absl::OkStatus()
                 : absl::AbortedError("it is taken back");
    }
    RETURN_IF_ERROR(AwaitChange(criu));
  }
}

absl::Status Keeper::Hold(pid_t root, const PidFd& criu) const {
  ASSIGN_OR_RETURN(const ProcessName name, NameOfProcess(root));
  RETURN_IF_ERROR(directory_.NoteHeld(name));
  // For who looks when we have died, and the root of them, too.
  RETURN_IF_ERROR(directory_.NoteTasks(RestoredTasks(directory_.Read())));
  RETURN_IF_ERROR(AwaitWord(criu));
  if (directory_.Read().aborted) return absl::AbortedError("it is taken back");
  // First: from here on it may run.
  return directory_.NotePassed();
}

bool Keeper::MayGoOn(const criu::RpcNotice& notice, const PidFd& criu) const {
  absl::Status status;
  if (notice.point() == "post-restore") {
    status = Hold(notice.root(), criu);
  } else if (notice.point() == "pre-resume") {
    status = directory_.NoteResuming();
  }
  if (!status.ok()) LOG(Error) << notice.point() << ": " << status.message();
  return status.ok();
}

absl::StatusOr<bool> Keeper::Restore(CriuRpc& rpc, const PidFd& criu,
                                     const CriuWork& restore) const {
  RETURN_IF_ERROR(rpc.Begin(restore));
  while (true) {
    const absl::StatusOr<criu::RpcResponse> said = rpc.Next(criu);
    if (absl::IsUnavailable(said.status())) return false;
    RETURN_IF_ERROR(said.status());
    if (said->kind() != criu::RPC_NOTIFY) {
      if (!said->success()) LOG(Error) << "criu: " << said->complaint();
      return said->success();
    }
    // It may have ended, which is what we hear next.
    rpc.Answer(MayGoOn(said->notice(), criu)).IgnoreError();
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

absl::Status Keeper::Run(RestoreDirectory directory, const std::string& criu) {
  ASSIGN_OR_RETURN(UniqueFd gate, directory.OpenGate());
  UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch.valid() ||
      inotify_add_watch(watch.get(), PathOf(gate.get()).c_str(), IN_ATTRIB) <
          0 ||
      inotify_add_watch(watch.get(), PathOf(directory.fd()).c_str(),
                        IN_MOVED_TO) < 0) {
    return SysError("inotify");
  }
  ASSIGN_OR_RETURN(CriuRpc::Pair pair, CriuRpc::Make());
  ProgramStart start;
  start.argv = {criu};
  ASSIGN_OR_RETURN(ChildProgram program,
                   CriuRpc::StartCriu(std::move(start), pair.for_criu));
  pair.for_criu.reset();
  const PidFd& process = program.process();
  const Keeper keeper(std::move(directory), std::move(gate), std::move(watch));
  std::optional<CriuWork> what;
  bool succeeded = false;
  const auto restore = [&]() -> absl::Status {
    RETURN_IF_ERROR(keeper.directory_.NoteCriu(
        NameOfProcess(process.pid()).value_or(ProcessName())));
    ASSIGN_OR_RETURN(what, keeper.AwaitCommand(process));
    if (!what.has_value()) return absl::CancelledError("");
    ASSIGN_OR_RETURN(succeeded, keeper.Restore(pair.rpc, process, *what));
    return absl::OkStatus();
  };
  const absl::Status status = restore();
  // Otherwise it ends by itself.
  if (!status.ok()) (void)process.Kill();
  ASSIGN_OR_RETURN(int exit_code, program.Wait());
  if (absl::IsCancelled(status)) return absl::OkStatus();
  if (exit_code == 0 && !succeeded) exit_code = 1;
  if (exit_code != 0) keeper.Bury();
  RETURN_IF_ERROR(keeper.directory_.NoteExit(exit_code));
  return status;
}

}  // namespace

std::optional<int> RunRestoreKeeper(int argc, char* const* argv) {
  int fd = -1;
  if (argc != 4 || strcmp(argv[1], kRestoreKeeperMode) != 0)
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
    status = Keeper::Run(std::move(directory), argv[3]);
  }
  if (status.ok()) return 0;
  LOG(Error) << "the keeper of a restore: " << status.message();
  return 1;
}

}  // namespace pagelift
