#ifndef TESTS_STRESS_LAZIFY_MEMORY_TAKING_H_
#define TESTS_STRESS_LAZIFY_MEMORY_TAKING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "lib/uffd/features.h"
#include "lib/uffd/userfault_fd.h"
#include "tests/stress/lazify/anonymous_memory.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::stress {

// Drops all that lies in `mappings`, and returns the userfaultfd that all of it
// is registered with: whatever the process touches there from now on is to be
// installed by it. After an error half of its memory may be gone, and nothing
// that it does means anything any more.
absl::StatusOr<UserfaultFd> TakeMemoryAway(
    const StoppedProcess& process,
    const std::vector<AnonymousMapping>& mappings, FeatureSet features);

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_LAZIFY_MEMORY_TAKING_H_
