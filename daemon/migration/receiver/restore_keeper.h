#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_KEEPER_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_KEEPER_H_

#include <optional>

namespace pagelift {

// The first argument of a program that is to be a keeper.
inline constexpr char kRestoreKeeperMode[] = "restore-keeper";

// The keeper of a restore: the process that starts criu, when it is noted that
// it should, and outlives whoever asked for it. What criu leaves behind,
// whoever dies, becomes its child. It notes criu's exit code in the
// RestoreDirectory; then it is no more. If criu has succeeded the tasks are let
// go. If not, what is left of them is killed, unless some of it already runs.
// Should the directory be removed while the tasks are held, they are not to
// run; before criu is started, or if it is not to be, there is nothing to keep.
//
// If `argv` is "PROGRAM restore-keeper DIRECTORY CRIU", with a descriptor of
// that directory that has the keeper's lock, it does all that, and returns what
// main() is to return; nothing if it is something else. To be called before
// there is another thread. HeldRestore starts it.
std::optional<int> RunRestoreKeeper(int argc, char* const* argv);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_KEEPER_H_
