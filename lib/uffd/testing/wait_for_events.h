#ifndef PAGELIFT_LIB_UFFD_TESTING_WAIT_FOR_EVENTS_H_
#define PAGELIFT_LIB_UFFD_TESTING_WAIT_FOR_EVENTS_H_

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "lib/base/log.h"
#include "lib/uffd/event.h"
#include "lib/uffd/install_result.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {

// Reads until there were at least `count` events, or kSoon has passed, or
// reading has failed; returns those there were.
std::vector<Event> WaitForEvents(const UserfaultFd& uffd, size_t count = 1);

// Waits until something can be read, and reads nothing.
bool WaitUntilReadable(const UserfaultFd& uffd);

// Repeats `install` while it answers kEventPending: the kernel does so until
// the thread whose event was read has run again.
InstallResult RetryWhilePending(absl::FunctionRef<InstallResult()> install);

// The next event, which has to be a `Kind`.
template <typename Kind>
Kind WaitFor(const UserfaultFd& uffd) {
  std::vector<Event> events = WaitForEvents(uffd);
  CHECK(events.size() == 1 && std::holds_alternative<Kind>(events[0]))
      << events.size() << " events, or another kind";
  return std::get<Kind>(std::move(events[0]));
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_WAIT_FOR_EVENTS_H_
