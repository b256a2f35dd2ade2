#ifndef TESTS_STRESS_TORTURE_WORLD_H_
#define TESTS_STRESS_TORTURE_WORLD_H_

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/stress/torture/field.h"
#include "tests/stress/torture/operation_log.h"

namespace pagelift::stress {

// What all processes of the target tell each other: lies in shared memory,
// which is never lazy.
struct Tally {
  std::atomic<uint32_t> wrong{0};
  // What was wrong first; complete once `wrong` is 2.
  std::array<char, 400> first_wrong = {};
  std::array<std::atomic<uint64_t>, kOps> done = {};
  std::array<std::atomic<uint64_t>, kOps> refused = {};
  std::atomic<uint64_t> pages_checked{0};
  std::atomic<uint64_t> processes{0};  // Forked, all generations.
  std::atomic<uint32_t> orphans{0};    // That live.

  static Tally* Map();
  // Keeps what comes first; 'message' is one line.
  void TellWrong(const char* message);
  bool AnythingWrong() const { return wrong.load() != 0; }
};

// What the actors of one process share. A forked child copies it and calls
// AfterFork().
class World {
 public:
  World(Tally& tally, std::string state);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Tally& tally() { return tally_; }
  // A folder for files of ours. Never one that the pager writes to.
  const std::string& state() const { return state_; }

  // Before there is a thread.
  void Enter(Field& field) { fields_.push_back(&field); }
  const std::vector<Field*>& fields() const { return fields_; }

  // Operations go on side by side, unless one has to be alone.
  void BeginOperation() { pthread_rwlock_rdlock(&quiet_); }
  void BeginAlone() { pthread_rwlock_wrlock(&quiet_); }
  void End() { pthread_rwlock_unlock(&quiet_); }
  // In a forked child, where nobody holds anything any more. `alone`: nothing
  // was going on when it was forked.
  void AfterFork(bool alone);

  // MADV_WIPEONFORK has no event, so the pager looks at the mappings a moment
  // after a fork. That moment is left alone: docs/correctness.md, known limits.
  void NoteFork();
  bool MayMarkForFork() const;

  // How many forks lie between this process and the first.
  int depth() const { return depth_; }
  // Whether the shadows of all fields are right: those of other threads are not
  // if one of our ancestors was forked in the middle of what these did.
  bool all_fields_hold() const { return all_fields_hold_; }

 private:
  void InitializeLock();

  Tally& tally_;
  const std::string state_;
  std::vector<Field*> fields_;
  pthread_rwlock_t quiet_;
  std::atomic<uint64_t> last_fork_ms_{0};
  int depth_ = 0;
  bool all_fields_hold_ = true;
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_WORLD_H_
