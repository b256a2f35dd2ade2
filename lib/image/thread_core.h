#ifndef PAGELIFT_LIB_IMAGE_THREAD_CORE_H_
#define PAGELIFT_LIB_IMAGE_THREAD_CORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pagelift {

// core-TID.img: what we want to know of a thread.
struct ThreadCore {
  // The command name; empty in threads other than a task's first. Any bytes.
  std::string comm;
  // Nothing for a zombie, and on other processors than x86-64.
  std::optional<uint64_t> stack_pointer;
};

absl::StatusOr<ThreadCore> DecodeThreadCore(const std::string& name,
                                            std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_THREAD_CORE_H_
