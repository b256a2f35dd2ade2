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
// does not tell either, somebody has set the mark since, which programs do, and
// not cleared it; but if the parent has nothing registered there any more, the
// child is believed.
std::vector<PageRange> WipedByFork(
    const RegisteredRanges& parent, const RegisteredRanges& child,
    absl::FunctionRef<std::optional<bool>(PageRange)> was_copied);

// What MADV_DONTFORK left out of a forked child, judged in the same way: what
// the parent has marked. If the child has all of such a range nevertheless, it
// has grown over it, or the mark was set since: `was_copied` is asked, and if
// that does not tell, it was set since. A part of it is growth.
std::vector<PageRange> LeftOutByFork(
    const RegisteredRanges& parent, const RegisteredRanges& child,
    absl::FunctionRef<std::optional<bool>(PageRange)> was_copied);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_WIPED_MEMORY_H_
