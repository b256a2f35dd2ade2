#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_HOOK_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_HOOK_H_

namespace pagelift {

// Where the hook finds the directory that it tells what it knows, and is told
// in: a variable of its environment, so that no path is ever quoted.
inline constexpr char kRestoreDirectoryVariable[] = "PAGELIFT_RESTORE";

// The action script of criu restore. It is run for each of some ten actions,
// while the tree stands still: it forks nothing and does nothing for most.
//
// The gate is opened both ways: who opens it waits for nobody, and who reads
// from it is told no end when a writer dies. What is said is noted before, so
// that it counts even if nobody has the gate open. A file is there at once with
// all that it says, because what is echoed is one write; its reader knows by
// the newline.
inline constexpr char kRestoreHook[] = R"sh(#!/bin/sh
name() {
  while IFS= read -r line; do stat=$line; done < "/proc/$1/stat" || exit 1
  pid=$1
  set -- ${stat##*)}
  name="$pid ${20}"
}
cd -- "$PAGELIFT_RESTORE" || exit 1
case $CRTOOLS_SCRIPT_ACTION in
  post-restore)
    test -p gate || exit 1
    exec 3<> gate || exit 1
    name "$CRTOOLS_INIT_PID"; root=$name
    name "$PPID"; criu=$name
    name "$$"
    echo "$root $criu $name" > held || exit 1
    test -e let-go || { IFS= read -r word <&3 && test "$word" = commit; } ||
      exit 1
    test ! -e aborted || exit 1
    : > passed || exit 1
    ;;
  pre-resume)
    : > resuming
    ;;
esac
)sh";

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_RESTORE_HOOK_H_
