#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_PAGE_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_PAGE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pagelift {

// What the holder and its workers know in common, in memory that outlives each
// of them. docs/crash_safety.md says how they play together.
//
// The holder reads `upgrade_to` and whether there are sessions, and nothing
// else that a worker has written. A version is only ever added to at the end;
// anything else makes a new one.
struct HolderPage {
  static constexpr uint64_t kMagic = 0x315245444c4f4850;
  static constexpr uint32_t kVersion = 1;
  static constexpr size_t kMostSessions = 4096;
  static constexpr size_t kMostInherited = 64;

  uint64_t magic;
  uint32_t version;
  int32_t descriptor;  // Of this memory.
  // What was open when the first holder started, and is nobody's to close. By
  // identity, too: its number may have become another's since.
  struct Inherited {
    int32_t descriptor;  // -1: none.
    uint64_t device;
    uint64_t inode;
  };
  Inherited inherited[kMostInherited];
  int32_t library;  // The worker's, open: as long as this holder lives they
                    // are all of one version.

  // --- The holder's --------------------------------------------------------
  std::atomic<int32_t> holder;    // Its process.
  std::atomic<uint32_t> workers;  // Started so far.
  std::atomic<uint32_t> crashes;  // Of them, have died.
  // Of waitpid(2), of the worker before this one; -1: it did not crash.
  std::atomic<int32_t> last_status;
  std::atomic<uint32_t> upgrades;

  // --- The worker's --------------------------------------------------------
  std::atomic<uint32_t> told_ready;     // Whoever started us knows.
  std::atomic<int32_t> control;         // The descriptor that listens for
                                        // commands, plus one; 0: none.
  std::atomic<uint64_t> next_session;   // The number of its name.
  std::atomic<uint32_t> wants_upgrade;  // To `upgrade_to`, when it has ended.
  char upgrade_to[4096];                // A program like this one.
  // Descriptors of sessions' journals, plus one; 0 is a free place.
  std::atomic<int32_t> sessions[kMostSessions];

  // --- What was added later; zeros from an older holder or worker ----------
  // The descriptors come from the service manager's store: some may be missing.
  // A worker that has looked clears it.
  std::atomic<uint32_t> restored;
  // Something is in that store, or may be, that is to be there no more.
  std::atomic<uint32_t> store_is_wrong;
  // The socket for commands is the service manager's, which listens there.
  std::atomic<uint32_t> control_is_given;
  // A worker that does not move for so long is killed; 0: none is.
  std::atomic<int64_t> patience_ns;
  // When the worker has last shown that it moves (CLOCK_MONOTONIC); 0: it need
  // not.
  std::atomic<int64_t> moved_ns;
  // The holder and its worker as processes that a number alone does not name:
  // fields 1 and 22 of /proc/PID/stat.
  struct Process {
    std::atomic<int32_t> pid;
    std::atomic<uint64_t> start;
  };
  Process running[2];
  // Locked as long as anybody shares our descriptors; see predecessors.h.
  std::atomic<int32_t> lock;
  // A worker looks at all descriptors, and closes those that nobody needs: it
  // must see none that the holder has for a moment, whose number may be another
  // one's, of the worker, when the holder closes it. So the holder has none
  // from when it sets the first until the worker sets the second.
  std::atomic<uint32_t> worker_may_look;
  std::atomic<uint32_t> worker_has_looked;
};

// What a worker is: a function of this name in the library beside the holder.
// Returns what main() does. `page` is the caller's memory.
using WorkerEntry = int(int argc, char* argv[], HolderPage* page);
inline constexpr char kWorkerEntry[] = "pageliftd_worker";
inline constexpr char kWorkerLibrary[] = "libpageliftd_worker.so";

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_HOLDER_PAGE_H_
