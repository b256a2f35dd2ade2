#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_TESTING_DUMPED_PROGRAM_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_TESTING_DUMPED_PROGRAM_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "lib/base/testing/temp_dir.h"

namespace pagelift {

// A tree of processes, with a thread, that criu has dumped and ended, and that
// can be restored in a child of this process any number of times.
//
// Thread-compatible. Fails the test if there is no criu, or it cannot dump.
// REQUIRES: this process is a subreaper, and has no other children when this is
// made and when it is destroyed.
class DumpedProgram {
 public:
  DumpedProgram();
  // Ends, and waits for, all that has become of it.
  ~DumpedProgram();
  DumpedProgram(const DumpedProgram&) = delete;
  DumpedProgram& operator=(const DumpedProgram&) = delete;

  const std::string& criu() const { return criu_; }
  std::string images() const { return dir_.Join("images"); }
  pid_t root() const { return root_; }
  // Whether none has counted since it was dumped.
  bool HasNotRun() const { return Numbers() == at_dump_; }
  // Waits until all of them have counted some more.
  bool Runs() const;
  // Whether one of its processes is there, zombies not counted.
  bool IsThere() const;

 private:
  using Counts = std::array<uint64_t, 3>;
  Counts Numbers() const;

  TempDir dir_;
  std::string criu_;
  pid_t root_ = 0;
  pid_t child_ = 0;
  Counts at_dump_ = {};
};

// Waits for all children that have ended.
void ReapChildren();

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_TESTING_DUMPED_PROGRAM_H_
