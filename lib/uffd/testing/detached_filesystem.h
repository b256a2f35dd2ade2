#ifndef PAGELIFT_LIB_UFFD_TESTING_DETACHED_FILESYSTEM_H_
#define PAGELIFT_LIB_UFFD_TESTING_DETACHED_FILESYSTEM_H_

#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"

namespace pagelift {

// A new file of `size`, open for reading and writing, alone in a new file
// system of the given type ("tmpfs", "hugetlbfs", ...) with room for
// `capacity`; without that option if nullptr. The file system is mounted
// nowhere, and gone when the file is closed. Needs CAP_SYS_ADMIN, and aborts
// the test without.
UniqueFd FileOnNewFilesystem(const char* type, PageCount size,
                             const char* capacity = nullptr);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_DETACHED_FILESYSTEM_H_
