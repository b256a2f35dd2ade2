#ifndef PAGELIFT_LIB_PROCESS_CHILD_PROGRAM_H_
#define PAGELIFT_LIB_PROCESS_CHILD_PROGRAM_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// What is started, and what it inherits.
struct ProgramStart {
  // The program, by its path or to be searched for on the PATH, and what
  // follows it.
  std::vector<std::string> argv;
  // Descriptors of ours that it has, under the same numbers; of those above 2
  // no others.
  std::vector<int> keep = {};
  // A file that its output is appended to, made if need be, 0600; empty: its
  // output goes where ours goes.
  std::string output = "";
  // It is the leader of a new session, without a terminal.
  bool own_session = false;
  // A filter of its system calls and of those of all that it starts
  // (seccomp(2)), which asks about some: see AskedCalls. Empty: none. Takes
  // CAP_SYS_ADMIN.
  std::vector<sock_filter> filter = {};
};

// A program that runs as a child of ours, with no standard input, and with no
// signal blocked or ignored.
//
// Thread-compatible. A child that is dropped goes on, and is to be reaped by
// whoever reaps our other children.
class ChildProgram {
 public:
  // kNotFound if there is no such program.
  static absl::StatusOr<ChildProgram> Start(const ProgramStart& start);

  pid_t pid() const { return process_.pid(); }
  const PidFd& process() const { return process_; }
  // Where its filter asks; once, and only if it has one.
  UniqueFd TakeListener() { return std::move(listener_); }

  // Waits until it has ended. Returns its exit code; 128 + N if signal N ended
  // it. To be called once.
  absl::StatusOr<int> Wait();

 private:
  ChildProgram(PidFd process, UniqueFd listener)
      : process_(std::move(process)), listener_(std::move(listener)) {}
  PidFd process_;
  UniqueFd listener_;
};

// Start() and Wait().
absl::StatusOr<int> RunProgram(const ProgramStart& start);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_CHILD_PROGRAM_H_
