#ifndef PAGELIFT_LIB_PROCESS_PAGEMAP_H_
#define PAGELIFT_LIB_PROCESS_PAGEMAP_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"

namespace pagelift {

// What a page table holds for a page.
enum class PageEntry : uint8_t {
  kNothing,
  kPage,    // Mapped, swapped out, or on its way to another place.
  kMarked,  // Guarded, poisoned, or write-protected without a page.
};

// /proc/PID/pagemap: which pages of a process are there.
//
// Thread-safe: every call is one read of an open file.
class Pagemap {
 public:
  // Needs the right to trace the process. The caller makes sure that `pid`
  // still means the right one.
  static absl::StatusOr<Pagemap> Open(pid_t pid);

  // One for each page of `range`; all kNothing if the process has no memory any
  // more.
  absl::StatusOr<std::vector<PageEntry>> Read(PageRange range) const;

 private:
  explicit Pagemap(UniqueFd file);

  UniqueFd file_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_PAGEMAP_H_
