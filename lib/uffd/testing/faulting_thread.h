#ifndef PAGELIFT_LIB_UFFD_TESTING_FAULTING_THREAD_H_
#define PAGELIFT_LIB_UFFD_TESTING_FAULTING_THREAD_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "lib/base/testing/soon.h"

namespace pagelift {

// A thread of this process that touches memory, or makes a call that changes
// the layout, and so may have to wait for whoever reads the userfaultfd.
//
// Thread-compatible. Aborts the test if the thread still waits in the end.
class FaultingThread {
 public:
  static FaultingThread StartRead(const std::byte* at);
  static FaultingThread StartWrite(std::byte* at, std::byte value);
  // `call` must not touch the stack of its caller.
  static FaultingThread Start(std::function<int()> call);

  FaultingThread(FaultingThread&&) noexcept;
  ~FaultingThread();

  // Whether it sleeps now, for a page or for an event to be read.
  bool is_blocked() const;
  // Waits until it does; false if it has ended, or did not within kSoon.
  bool WaitUntilBlocked() const;
  bool has_ended() const;

  // Waits for the end: the byte that was read or written, or what the call
  // returned. Nothing if there was a SIGBUS.
  std::optional<int> Result();

  pid_t tid() const;

 private:
  struct State;
  explicit FaultingThread(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_FAULTING_THREAD_H_
