#ifndef PAGELIFT_LIB_BASE_TESTING_EVENTUALLY_H_
#define PAGELIFT_LIB_BASE_TESTING_EVENTUALLY_H_

#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/testing/soon.h"

namespace pagelift {

// Polls until `is` holds; false if it does not for so long that something must
// be wrong. For what tells nobody that it has come about.
inline bool Eventually(absl::FunctionRef<bool()> is) {
  const absl::Time deadline = absl::Now() + kSoon;
  while (!is()) {
    if (absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_TESTING_EVENTUALLY_H_
