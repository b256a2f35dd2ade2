#ifndef PAGELIFT_LIB_IMAGE_THREAD_CORE_H_
#define PAGELIFT_LIB_IMAGE_THREAD_CORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace pagelift {

// core-TID.img: what we want to know of a thread.
struct ThreadCore {
  // The command name; empty in threads other than a task's first. Any bytes.
  std::string comm;
  // It was stopped by a signal before it was dumped; of a task's first thread.
  bool stopped = false;
  // Nothing for a zombie, and on other processors than x86-64.
  std::optional<uint64_t> stack_pointer;
  // Addresses of what the kernel reads and writes without waiting for a missing
  // page: the word it clears when the thread ends, and the head of its robust
  // list. Also of its rseq area, without which it cannot run at all.
  std::vector<uint64_t> kernel_words;
  std::optional<uint64_t> robust_list;  // Among them.
};

absl::StatusOr<ThreadCore> DecodeThreadCore(const std::string& name,
                                            std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_THREAD_CORE_H_
