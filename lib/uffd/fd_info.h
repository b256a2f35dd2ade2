#ifndef PAGELIFT_LIB_UFFD_FD_INFO_H_
#define PAGELIFT_LIB_UFFD_FD_INFO_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/uffd/features.h"

namespace pagelift {

// What /proc/self/fdinfo/FD tells of a userfaultfd.
struct UserfaultFdInfo {
  uint64_t unread_faults = 0;  // Wait to be read.
  uint64_t waiting_faults =
      0;  // These, and those that were read and still wait.
  bool handshake_done = false;
  FeatureSet features;
};

absl::StatusOr<UserfaultFdInfo> ParseFdInfo(std::string_view text);

// kInvalidArgument if `fd` is something else than a userfaultfd. Thread-safe.
absl::StatusOr<UserfaultFdInfo> ReadFdInfo(int fd);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_FD_INFO_H_
