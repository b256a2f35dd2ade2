#ifndef PAGELIFT_LIB_PROCESS_REGISTERED_RANGES_H_
#define PAGELIFT_LIB_PROCESS_REGISTERED_RANGES_H_

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// One mapping, and what is said of it that matters to us.
struct Mapping {
  PageRange pages;
  bool registered_missing = false;  // With a userfaultfd, for missing faults,
  bool registered_write_protect = false;  // for write-protect faults,
  bool registered_minor = false;          // for minor faults.
  bool wipe_on_fork = false;              // A forked child finds zeros,
  bool left_out_of_forks = false;         // or nothing at all.
  bool shared = false;
  bool locked = false;   // By mlock(2), or as mlockall(2) has asked for.
  bool guarded = false;  // May hold guard markers; only newer kernels tell.

  bool registered() const {
    return registered_missing || registered_write_protect || registered_minor;
  }
};

// The mappings of a process, in address order, as they were at some instant; of
// a process that runs, each as of a slightly different one.
//
// Immutable, so thread-safe.
class RegisteredRanges {
 public:
  // Reads /proc/PID/smaps, which costs time in proportion to the memory that is
  // present. kNotFound if the process has no memory (any more). The caller
  // makes sure that `pid` still means the right process.
  static absl::StatusOr<RegisteredRanges> OfProcess(pid_t pid);

  // The same from the text of such a file. kInvalidArgument if it is not one.
  static absl::StatusOr<RegisteredRanges> Parse(std::string_view smaps);

  const std::vector<Mapping>& mappings() const { return mappings_; }

  // The parts of `range` that are so, in address order, neighbours joined.
  std::vector<PageRange> RegisteredIn(PageRange range) const;
  std::vector<PageRange> WipedOnForkIn(PageRange range) const;

 private:
  explicit RegisteredRanges(std::vector<Mapping> mappings);
  template <typename Is>
  std::vector<PageRange> PartsOf(PageRange range, Is is) const;

  std::vector<Mapping> mappings_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_REGISTERED_RANGES_H_
