#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
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
  // Answers CRIU, and outlives the dump; null: it looks at memory itself, and
  // needs longer.
  MemoryAnswers* answers = nullptr;
  // Its log has all that it does, which takes 2 ms; otherwise errors and
  // warnings.
  bool says_all = false;
};

// A criu that freezes a tree, writes its images without the lazy pages, and
// then waits on the leash: the tree is parked.
//
// Whoever starts one has written down the leash before, so that a next worker
// can reset it if this one dies; CRIU then lets the tree go on. Dropping this
// object leaves CRIU as it is.
//
// Thread-compatible.
class ParkedDump {
 public:
  static constexpr char kLog[] = "dump.log";        // In the images;
  static constexpr char kOutput[] = "dump.output";  // what is not in there.

  // CRIU runs when this returns, and knows what to do; its name is to be
  // written down next. `leash` is the other end of `for_criu`.
  // kInvalidArgument: an option would make something else of the dump.
  static absl::StatusOr<ParkedDump> Start(const DumpPlan& plan,
                                          CriuLeash& leash, UniqueFd for_criu);

  // That which another worker has started, and which may be parked or not.
  // kNotFound if it has ended.
  static absl::StatusOr<ParkedDump> Adopt(const std::string& images,
                                          const ProcessName& criu);

  // Returns OK when CRIU has done what it can do while the tree still runs. Its
  // errors, and of the next, say why not, and what may be done; then the tree
  // goes on as Abandon() says, before this returns. kDeadlineExceeded after
  // `patience`; kCancelled if the descriptor `cancel`, -1 for none, becomes
  // readable. REQUIRES: started by Start().
  absl::Status WaitUntilReady(CriuLeash& leash, absl::Duration patience,
                              int cancel = -1);

  // Returns OK when the tree is parked. kUnimplemented: CRIU has asked what
  // could not be answered, and the plan is to be tried without answers.
  absl::Status WaitUntilParked(CriuLeash& leash, absl::Duration patience,
                               int cancel = -1);

  // Whether CRIU was answered, so that its page maps lack the lazy pages.
  bool answered() const { return answers_ != nullptr; }

  // Resets the leash and waits until CRIU has ended, and so let the tree go on.
  // One that hangs, and has not been on a processor for `patience`, is killed:
  // the tree goes on then as well, but a task that CRIU was just at
  // work in, before it was parked, may die of it.
  void Abandon(CriuLeash& leash, absl::Duration patience = kPatience);
  // The same of one whose leash was reset by another worker.
  void WaitOrKill(absl::Duration patience = kPatience);

  // Its exit code, 128 + N after signal N, or nothing if it has ended but is
  // not a child of ours. kDeadlineExceeded: it runs.
  absl::StatusOr<std::optional<int>> WaitUntilEnded(absl::Duration patience);

  const ProcessName& criu() const { return name_; }
  const PidFd& process() const { return process_; }

 private:
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  ParkedDump(std::string images, ProcessName name, PidFd process);
  // Lets CRIU go on until it is at that point.
  absl::Status GoOnTo(absl::string_view point, CriuLeash& leash,
                      absl::Duration deadline, int cancel);
  absl::Status AbandonUnless(absl::Status done, CriuLeash& leash);
  absl::Status WhyItEnded();
  std::string TimeOnProcessor() const;  // As the kernel tells it.

  std::string images_;
  ProcessName name_;
  PidFd process_;
  MemoryAnswers* answers_ = nullptr;  // Null: it looks at memory itself.
  bool waits_ = false;                // For an answer, at some point.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_DUMP_H_
