#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_HELD_RESTORE_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_HELD_RESTORE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/migration/receiver/restore_directory.h"
#include "daemon/migration/receiver/restore_situation.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A run of criu restore that waits, with all restored and nothing run, until it
// is told to let it run or to take it back.
//
// All that matters is in a directory and in processes that outlive this object
// and this process: it may be dropped, or die, at any time, and be adopted.
// Thread-compatible; one object and one process at a time has a directory.
class HeldRestore {
 public:
  struct Options {
    std::string criu;
    std::string images;
    std::string work_dir;  // Where lazy-pages.socket is, and the log goes.
    std::vector<std::string> criu_options;  // Passed on, behind ours.
    bool lazy = true;
    // Calls RunRestoreKeeper() first of all.
    std::string keeper_program = "/proc/self/exe";
    // How long Abort() lets criu take back what it has done, before it kills.
    absl::Duration patience = absl::Seconds(5);
  };

  // Has a keeper ready in `directory`, made if need be, for a Start() that may
  // come, with a criu that waits, so that it is quicker; until then it is
  // starting, and nothing has run. They end if the directory is removed. Of the
  // options only the two programs matter. Returns when they are there, or
  // kAborted. kFailedPrecondition if something of an earlier run is
  // left, be it a keeper that is ready: Abort() it.
  static absl::Status MakeReady(const std::string& directory, Options options);
  // Starts criu in `directory`, made if need be. kFailedPrecondition if
  // something of an earlier run is left: Abort() it. kInvalidArgument: an
  // option that cannot be given, see CriuConfig().
  static absl::StatusOr<HeldRestore> Start(const std::string& directory,
                                           Options options);
  // Goes on with what was started there, if anything was.
  static absl::StatusOr<HeldRestore> Adopt(const std::string& directory,
                                           Options options);

  HeldRestoreState state() const { return LookAt(directory_).State(); }

  // OK: it is held, or was let go. kAborted: criu has failed; quotes it.
  absl::Status WaitHeld(absl::Time deadline);

  // From now on it may run. Also if it is not held yet: then it will not wait.
  // Any number of times. kAborted if criu has ended otherwise, or a task has.
  absl::Status LetGo();
  // OK: the tasks run. kAborted: they do not and will not; quotes criu.
  absl::Status WaitRunning(absl::Time deadline);

  // Ends a criu that was let go and comes to no end, as if a task was killed
  // meanwhile. Then NothingHasRun() tells what to do.
  absl::Status EndCriu(absl::Time deadline);

  // OK: nothing is left of it. kFailedPrecondition if it may have run.
  absl::Status Abort(absl::Time deadline);

  // Waits for the keeper, if it is a child of ours and ends in time: it would
  // stay as a zombie.
  void ReapKeeper(absl::Duration patience) const;

  // Whether it is certain that no task has executed an instruction of its own.
  // After LetGo() only once criu has ended; after a restart of the host never.
  bool NothingHasRun() const { return LookAt(directory_).NothingHasRun(); }

 private:
  static constexpr char kLog[] = "restore.log";

  HeldRestore(std::string path, RestoreDirectory directory, Options options)
      : path_(std::move(path)),
        directory_(std::move(directory)),
        options_(std::move(options)) {}
  std::string LogPath() const { return options_.work_dir + "/" + kLog; }
  std::string KeeperLogPath() const { return path_ + "/keeper.log"; }

  absl::Status StartKeeper();
  // Looks again whenever something may have changed; kDeadlineExceeded.
  absl::Status WaitUntil(absl::FunctionRef<bool(const RestoreSituation&)> is,
                         absl::Time deadline) const;
  // OK unless it is gone.
  absl::Status Judge();
  absl::Status WhyFailed(const RestoreNotes& notes) const;

  std::string path_;
  RestoreDirectory directory_;
  Options options_;
  UniqueFd gate_;  // Once we have said something.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_HELD_RESTORE_H_
