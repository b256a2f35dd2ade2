#ifndef PAGELIFT_LIB_BASE_MEMORY_FILE_H_
#define PAGELIFT_LIB_BASE_MEMORY_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A file in memory only (memfd_create(2)) with those contents, read from the
// beginning. `name` is what the kernel shows.
absl::StatusOr<UniqueFd> MemoryFile(const char* name,
                                    absl::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_MEMORY_FILE_H_
