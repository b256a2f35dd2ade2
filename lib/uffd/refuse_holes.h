#ifndef PAGELIFT_LIB_UFFD_REFUSE_HOLES_H_
#define PAGELIFT_LIB_UFFD_REFUSE_HOLES_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pagelift {

// Reading a hole in a mapping of a file on tmpfs fills it with zeros, and
// nobody can tell it from data afterwards. This has such reads raise SIGBUS
// instead (EFAULT where the kernel reads), and leave the hole, until `mapping`
// is unmapped. Needs no rights. Thread-safe. The first use opens one
// userfaultfd(2) for the whole process.
//
// kInvalidArgument if what holds the file is no tmpfs. REQUIRES: `mapping` is
// MAP_PRIVATE, and whole pages.
absl::Status RefuseHoles(absl::Span<const std::byte> mapping);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_REFUSE_HOLES_H_
