#ifndef PAGELIFT_LIB_BASE_MONOTONIC_TIME_H_
#define PAGELIFT_LIB_BASE_MONOTONIC_TIME_H_

#include <chrono>

#include "absl/time/time.h"

namespace pagelift {

// Time since some moment in the past, by a clock that nobody sets: what waits
// for a while must not wait for an hour because the wall clock was put back.
inline absl::Duration MonotonicNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_MONOTONIC_TIME_H_
