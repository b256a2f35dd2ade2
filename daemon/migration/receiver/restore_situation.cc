#include "daemon/migration/receiver/restore_situation.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/migration/receiver/restored_processes.h"
#include "daemon/migration/receiver/restorer_wait.h"

namespace pagelift {

std::optional<PidFd> Alive(const RestoreNotes& notes,
                           const std::optional<ProcessName>& name) {
  if (!notes.of_this_boot || !name.has_value()) return std::nullopt;
  absl::StatusOr<PidFd> process = OpenProcess(*name);
  if (!process.ok() || process->HasExited()) return std::nullopt;
  return *std::move(process);
}

RestoreSituation LookAt(const RestoreDirectory& directory) {
  RestoreSituation now;
  now.notes = directory.Read();
  const bool criu = Alive(now.notes, now.notes.criu).has_value();
  const bool keeper = directory.HasKeeper();
  now.under_way = !now.notes.exit_code.has_value() && (criu || keeper);
  now.over = !criu && !keeper;
  // What they wrote before they ended may have come after the first look.
  if (!now.under_way) now.notes = directory.Read();
  return now;
}

HeldRestoreState RestoreSituation::State() const {
  if (under_way) {
    // Criu is about to let go of the tasks, and so is the kernel if it dies.
    if (notes.resuming && notes.passed) return HeldRestoreState::kRunning;
    if (notes.let_go) return HeldRestoreState::kLetGo;
    return notes.held() ? HeldRestoreState::kHeld : HeldRestoreState::kStarting;
  }
  if (!notes.of_this_boot) return HeldRestoreState::kGone;
  if (notes.exit_code == 0) return HeldRestoreState::kRunning;
  if (!notes.passed) return HeldRestoreState::kGone;
  const std::vector<PidFd> tasks = RestoredTasks(notes);
  if (tasks.empty()) return HeldRestoreState::kGone;
  switch (PlaceInRestorer(tasks)) {
    case RestorerPlace::kWaiting:
      return HeldRestoreState::kGone;
    case RestorerPlace::kInside:
      return HeldRestoreState::kLetGo;
    case RestorerPlace::kLeft:
      return HeldRestoreState::kRunning;
  }
  return HeldRestoreState::kGone;
}

bool RestoreSituation::NothingHasRun() const {
  // After a restart of the host there may have been more notes.
  if (!notes.of_this_boot) return false;
  if (notes.aborted || (!notes.let_go && !notes.passed)) return true;
  if (under_way || notes.exit_code == 0) return false;
  // Criu was never told to go on, and now there is no criu.
  if (!notes.passed) return true;
  const std::vector<PidFd> tasks = RestoredTasks(notes);
  if (!tasks.empty()) {
    return PlaceInRestorer(tasks) == RestorerPlace::kWaiting;
  }
  // A criu that fails by itself kills all that it has made; before it runs if
  // it had not come to detach from it.
  return notes.exit_code.has_value() && *notes.exit_code < 128 &&
         !notes.resuming;
}

const char* ToString(HeldRestoreState state) {
  switch (state) {
    case HeldRestoreState::kStarting:
      return "starting";
    case HeldRestoreState::kHeld:
      return "held";
    case HeldRestoreState::kLetGo:
      return "let go";
    case HeldRestoreState::kRunning:
      return "running";
    case HeldRestoreState::kGone:
      return "gone";
  }
  return "unknown";
}

}  // namespace pagelift
