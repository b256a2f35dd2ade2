#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/migration/answers/memory_answers.h"
#include "daemon/migration/parked/criu_leash.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"
#include "lib/process/process_name.h"

namespace pagelift {

// What is to be dumped.
struct DumpPlan {
  std::string criu;                  // See FindCriu().
  pid_t root = 0;                    // Of the tree.
  std::string images;                // A directory, empty.
  std::vector<std::string> options;  // Of the user's, for CRIU.
  // Answers CRIU, and outlives the dump; null: it looks at memory itself.
  MemoryAnswers* answers = nullptr;
};

// A `criu dump` that freezes a tree, writes its images without the lazy pages,
// and then waits on the leash: the tree is parked.
//
// Whoever starts one has written down the leash before, so that a next worker
// can reset it if this one dies; CRIU then lets the tree go on as soon as it
// has dumped. Dropping this object leaves CRIU as it is.
//
// Thread-compatible.
class ParkedDump {
 public:
  static constexpr char kLog[] = "dump.log";        // In the images;
  static constexpr char kOutput[] = "dump.output";  // what is not in there.

  // CRIU runs when this returns; its name is to be written down next.
  // kInvalidArgument: an option would make something else of the dump.
  static absl::StatusOr<ParkedDump> Start(const DumpPlan& plan,
                                          UniqueFd for_criu);

  // That which another worker has started, and which may be parked or not.
  // kNotFound if it has ended.
  static absl::StatusOr<ParkedDump> Adopt(const std::string& images,
                                          const ProcessName& criu);

  // Returns OK when the tree is parked. Otherwise says why not, and what may be
  // done; then the tree goes on as Abandon() says, before this returns.
  // kDeadlineExceeded after `patience`; kCancelled if the descriptor `cancel`,
  // -1 for none, becomes readable. REQUIRES: started by Start().
  absl::Status WaitUntilParked(CriuLeash& leash, absl::Duration patience,
                               int cancel = -1);

  // Resets the leash and waits until CRIU has ended, and so let the tree go on.
  // One that hangs, and has not even added to its log for `patience`, is
  // killed: the tree goes on then as well, but a task that CRIU was just at
  // work in, before it was parked, may die of it.
  void Abandon(CriuLeash& leash, absl::Duration patience = kPatience);

  // Its exit code, 128 + N after signal N, or nothing if it has ended but is
  // not a child of ours. kDeadlineExceeded: it runs.
  absl::StatusOr<std::optional<int>> WaitUntilEnded(absl::Duration patience);

  const ProcessName& criu() const { return name_; }
  const PidFd& process() const { return process_; }

 private:
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  ParkedDump(std::string images, ProcessName name, PidFd process);
  absl::Status Parked(absl::Duration deadline, int cancel);
  absl::Status WhyItEnded();
  uint64_t LogSize() const;

  std::string images_;
  ProcessName name_;
  PidFd process_;
  UniqueFd status_;  // Readable when it is parked.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_
