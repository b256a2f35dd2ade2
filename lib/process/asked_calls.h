#ifndef PAGELIFT_LIB_PROCESS_ASKED_CALLS_H_
#define PAGELIFT_LIB_PROCESS_ASKED_CALLS_H_

#include <sys/types.h>

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A system call that waits for what we say.
struct AskedCall {
  uint64_t id = 0;  // Of this question.
  pid_t tid = 0;    // The thread that calls.
  int number = 0;   // __NR_*, of x86-64.
  std::array<uint64_t, 6> arguments = {};
};

// The end of a filter of system calls (seccomp(2), SECCOMP_RET_USER_NOTIF) at
// which is answered what the filter does not decide. When it is dropped, all
// such calls fail with ENOSYS, for good.
//
// Thread-safe.
class AskedCalls {
 public:
  explicit AskedCalls(UniqueFd listener);

  // Waits for the next one. kCancelled if the descriptor `stop` becomes
  // readable first; kNotFound when nobody is left who could ask.
  absl::StatusOr<AskedCall> Next(int stop) const;

  // Have it done by the kernel, as if nobody had asked. In each of these, who
  // has died meanwhile does not matter.
  void Continue(const AskedCall& call) const;
  // Have it return so much, or fail with that error.
  void Return(const AskedCall& call, int64_t value) const;
  void Fail(const AskedCall& call, int error) const;
  // Have it return a new descriptor, of what `fd` is one of, not closed on
  // exec.
  absl::Status ReturnDescriptor(const AskedCall& call, int fd) const;

  // Whether the question still waits: what was done to the numbers in it, as to
  // memory of thread `tid`, was done to who has asked.
  bool StillWaits(const AskedCall& call) const;

 private:
  UniqueFd listener_;
};

// Memory of the process of thread `tid`. kDataLoss if not all of it is there.
absl::Status ReadMemoryOf(pid_t tid, uint64_t address, void* data, size_t size);
absl::Status WriteMemoryOf(pid_t tid, uint64_t address, const void* data,
                           size_t size);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_ASKED_CALLS_H_
