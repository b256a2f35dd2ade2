#ifndef PAGELIFT_LIB_BASE_RANDOM_ID_H_
#define PAGELIFT_LIB_BASE_RANDOM_ID_H_

#include <random>
#include <string>

#include "absl/strings/str_format.h"

namespace pagelift {

// 32 hexadecimal digits, nobody else's, ever.
inline std::string NewRandomId() {
  std::random_device random;  // The kernel's.
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(),
                         random());
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_RANDOM_ID_H_
