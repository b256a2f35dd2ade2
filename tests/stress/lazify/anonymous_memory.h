#ifndef TESTS_STRESS_LAZIFY_ANONYMOUS_MEMORY_H_
#define TESTS_STRESS_LAZIFY_ANONYMOUS_MEMORY_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::stress {

// A mapping that restore would leave to the pager, and which of its pages are
// there.
struct AnonymousMapping {
  PageRange pages;
  bool is_stack = false;
  std::vector<PageRange> present;
  std::vector<PageRange> marked;  // Guards and the like: neither to be filled.
};

// The mappings in the text of a /proc/PID/smaps that are private, anonymous and
// neither locked nor of huge pages. In address order.
std::vector<AnonymousMapping> ParseAnonymousMappings(std::string_view smaps);

// Those of `process`, with their pages.
absl::StatusOr<std::vector<AnonymousMapping>> AnonymousMemoryOf(
    const StoppedProcess& process);

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_LAZIFY_ANONYMOUS_MEMORY_H_
