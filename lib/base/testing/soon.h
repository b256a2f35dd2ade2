#ifndef PAGELIFT_LIB_BASE_TESTING_SOON_H_
#define PAGELIFT_LIB_BASE_TESTING_SOON_H_

#include "absl/time/time.h"
#include "lib/base/testing/instrumented.h"

namespace pagelift {

// How long a test waits for what happens at once unless something is broken.
// A process with a sanitizer's memory takes some ten times as long to fork.
inline constexpr absl::Duration kSoon = absl::Seconds(kInstrumented ? 200 : 20);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_TESTING_SOON_H_
