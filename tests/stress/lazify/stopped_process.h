#ifndef TESTS_STRESS_LAZIFY_STOPPED_PROCESS_H_
#define TESTS_STRESS_LAZIFY_STOPPED_PROCESS_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"

namespace pagelift::stress {

// A process all of whose threads are stopped by ptrace(2), wherever they were,
// until this is destroyed; they then go on as if nothing had been.
//
// Lives on one thread, the one that made it. x86-64 only.
class StoppedProcess {
 public:
  // Waits for threads that cannot stop at once: one that has started a child
  // with vfork(2) stops when that has let go of the memory.
  static absl::StatusOr<StoppedProcess> Stop(pid_t pid);
  StoppedProcess(StoppedProcess&& other) noexcept;
  StoppedProcess& operator=(StoppedProcess&&) = delete;
  ~StoppedProcess();

  pid_t pid() const { return pid_; }

  // Has the process make a system call; its result, -errno if it failed.
  // `meanwhile` is called again and again until that has returned: it is to do
  // what the call may be waiting for.
  absl::StatusOr<int64_t> Call(
      int64_t number, std::array<uint64_t, 3> arguments,
      absl::FunctionRef<void()> meanwhile = [] {}) const;
  // Where the first thread's own data lie. The kernel writes there, too, each
  // time that the thread goes on.
  absl::StatusOr<PageId> ThreadPointer() const;
  // Whatever its protection.
  absl::Status Read(PageId page, absl::Span<std::byte> into) const;

 private:
  StoppedProcess(pid_t pid, UniqueFd memory);

  absl::Status StopThreads();
  absl::StatusOr<uint64_t> FindSystemCall() const;

  pid_t pid_;
  UniqueFd memory_;
  uint64_t system_call_ = 0;    // The address of such an instruction.
  std::vector<pid_t> threads_;  // The process's first one comes first.
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_LAZIFY_STOPPED_PROCESS_H_
