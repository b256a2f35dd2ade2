#include "lib/uffd/testing/wait_for_events.h"

#include <poll.h>

#include <thread>

#include "absl/time/clock.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {

bool WaitUntilReadable(const UserfaultFd& uffd) {
  pollfd readable = {uffd.fd(), POLLIN, 0};
  const int most = static_cast<int>(absl::ToInt64Milliseconds(kSoon));
  return poll(&readable, 1, most) == 1 && readable.revents == POLLIN;
}

std::vector<Event> WaitForEvents(const UserfaultFd& uffd, size_t count) {
  EventBuffer buffer;
  std::vector<Event> events;
  const absl::Time deadline = absl::Now() + kSoon;
  while (events.size() < count && absl::Now() < deadline) {
    if (!WaitUntilReadable(uffd)) break;
    auto batch = uffd.ReadEvents(buffer);
    if (!batch.ok()) break;
    for (Event& event : *batch) events.push_back(std::move(event));
  }
  return events;
}

InstallResult RetryWhilePending(absl::FunctionRef<InstallResult()> install) {
  const absl::Time deadline = absl::Now() + kSoon;
  while (true) {
    const InstallResult result = install();
    if (result.outcome != InstallResult::Outcome::kEventPending ||
        absl::Now() > deadline) {
      return result;
    }
    std::this_thread::yield();
  }
}

}  // namespace pagelift
