#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_CRIU_TARGET_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_CRIU_TARGET_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/migration/answers/memory_answers.h"
#include "daemon/migration/parked/criu_leash.h"
#include "daemon/migration/parked/parked_dump.h"
#include "daemon/migration/parked/testing/target_memory.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/memory/page.h"

namespace pagelift {

// A tree of real processes, see criu_target_main.cc, and a real CRIU for it.
// What cannot be done fails the test. In the end all of it is killed, and
// reaped.
//
// Thread-compatible. One at a time: it makes the test the reaper of orphans.
class CriuTarget {
 public:
  explicit CriuTarget(PageCount pages = PageCount(512));
  ~CriuTarget();
  CriuTarget(const CriuTarget&) = delete;
  CriuTarget& operator=(const CriuTarget&) = delete;

  pid_t main() const { return memory_->main_pid; }
  pid_t child() const { return memory_->child_pid; }
  // Where they have their pages.
  PageRange main_pages() const;
  PageRange child_pages() const;

  // Starts a dump and waits until the tree is parked.
  void Park(MemoryAnswers* answers = nullptr);
  DumpPlan Plan() const;
  std::string images() const { return dir_.Join("images"); }
  std::string Join(const std::string& name) const { return dir_.Join(name); }
  CriuLeash& leash() { return *leash_; }
  ParkedDump& dump() { return *dump_; }

  uint64_t count(TargetThread thread) const { return memory_->counts[thread]; }
  // Waits until it has counted on from here.
  bool CountsOn(TargetThread thread) const;
  // Waits until the process is in that state, as ps(1) shows it.
  bool ComesToState(pid_t pid, char state) const;

 private:
  TempDir dir_;
  PageCount pages_;
  TargetMemory* memory_ = nullptr;
  pid_t root_ = -1;
  std::optional<CriuLeash> leash_;
  std::optional<ParkedDump> dump_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_CRIU_TARGET_H_
