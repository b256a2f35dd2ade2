#ifndef PAGELIFT_LIB_BASE_POLL_UNTIL_H_
#define PAGELIFT_LIB_BASE_POLL_UNTIL_H_

#include <poll.h>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace pagelift {

// poll(2) until one of `fds` is ready, or MonotonicNow() is `deadline`; looks
// once even if that has passed. Whether one is ready.
bool PollUntil(absl::Span<pollfd> fds, absl::Duration deadline);

// The same of one descriptor.
bool PollUntil(int fd, short events, absl::Duration deadline);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_POLL_UNTIL_H_
