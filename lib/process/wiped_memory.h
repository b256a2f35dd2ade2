#ifndef PAGELIFT_LIB_PROCESS_WIPED_MEMORY_H_
#define PAGELIFT_LIB_PROCESS_WIPED_MEMORY_H_

#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "lib/memory/page.h"
#include "lib/process/registered_ranges.h"

namespace pagelift {

// What MADV_WIPEONFORK made zero in a forked child, judged by what can still be
// seen: the mappings of parent and child, both of a moment after the fork, when
// either may have changed them or the flag. Where they agree they are believed.
// Where they do not, `was_copied` is asked: whether pages of that range which
// the parent had are in the child, nothing if the parent had none. If that
// does not tell either, the parent is believed, whose mappings are of the
// earlier moment, unless it has nothing registered there any more.
std::vector<PageRange> WipedByFork(
    const RegisteredRanges& parent, const RegisteredRanges& child,
    absl::FunctionRef<std::optional<bool>(PageRange)> was_copied);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_WIPED_MEMORY_H_
