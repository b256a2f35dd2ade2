#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_SITUATION_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_SITUATION_H_

#include <optional>

#include "daemon/migration/receiver/restore_directory.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {

// How far a run of criu restore is.
enum class HeldRestoreState {
  kStarting,  // Not all is restored.
  kHeld,      // All is, and waits for a word.
  kLetGo,     // The word is said, or was about to be: to be said again. Or criu
              // has died of late, and it is to be seen what the tasks do.
  kRunning,   // The tasks run, or have run and ended.
  kGone,      // Criu has ended otherwise, or was never started.
};

// What the notes and the processes of such a run tell, at one moment.
struct RestoreSituation {
  RestoreNotes notes;
  // Criu, or a keeper that has yet to note how it ended: `notes` may be behind.
  // If not, they are final.
  bool under_way = false;
  // Neither is there any more.
  bool over = true;

  HeldRestoreState State() const;
  // Whether it is certain that no task has executed an instruction of its own.
  bool NothingHasRun() const;
};

RestoreSituation LookAt(const RestoreDirectory& directory);

// The process of that name, if it lives.
std::optional<PidFd> Alive(const RestoreNotes& notes,
                           const std::optional<ProcessName>& name);

// "held"
const char* ToString(HeldRestoreState state);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_SITUATION_H_
