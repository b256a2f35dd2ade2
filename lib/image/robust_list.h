#ifndef PAGELIFT_LIB_IMAGE_ROBUST_LIST_H_
#define PAGELIFT_LIB_IMAGE_ROBUST_LIST_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"

namespace pagelift {

// The words that the kernel reads when a thread ends whose robust list has its
// head at `head`: of the head, of every entry, and the futexes of those; see
// get_robust_list(2) and struct robust_list_head of linux/futex.h. As far as
// `read_word` knows what is there.
//
// The list is the dumped program's, so anything may be in it: it may be a
// circle, and addresses may be of anything.
std::vector<uint64_t> WordsOfRobustList(
    uint64_t head,
    absl::FunctionRef<std::optional<uint64_t>(uint64_t)> read_word);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_ROBUST_LIST_H_
