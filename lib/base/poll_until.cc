#include "lib/base/poll_until.h"

#include <algorithm>
#include <cerrno>

#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// More milliseconds than an hour's may not fit.
constexpr absl::Duration kLongest = absl::Hours(1);

}  // namespace

bool PollUntil(absl::Span<pollfd> fds, absl::Duration deadline) {
  while (true) {
    const absl::Duration left =
        std::clamp(deadline - MonotonicNow(), absl::ZeroDuration(), kLongest);
    const int milliseconds = static_cast<int>(
        absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
    const int ready = poll(fds.data(), fds.size(), milliseconds);
    if (ready > 0) return true;
    if (ready == 0 && left < kLongest) return false;
    CHECK(ready == 0 || errno == EINTR) << "poll: errno " << errno;
  }
}

bool PollUntil(int fd, short events, absl::Duration deadline) {
  pollfd one = {fd, events, 0};
  return PollUntil(absl::MakeSpan(&one, 1), deadline);
}

}  // namespace pagelift
