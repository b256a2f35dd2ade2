#ifndef PAGELIFT_LIB_PROCESS_BOOT_ID_H_
#define PAGELIFT_LIB_PROCESS_BOOT_ID_H_

#include <string>

#include "absl/status/statusor.h"

namespace pagelift {

// Different after each start of the host, the same for all its processes until
// then, whatever namespaces they are in: 36 characters, see random(4). Names of
// processes mean something within one boot only.
absl::StatusOr<std::string> BootId();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_BOOT_ID_H_
