#ifndef PAGELIFT_DAEMON_PAGE_SERVER_DUMP_NAMES_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_DUMP_NAMES_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace pagelift {

// Names of dumps that are received into a directory: when they came, in UTC, as
// dump-20260131-235959, and -2 for another one in that second.
//
// Thread-safe.
class DumpNames {
 public:
  static constexpr char kPrefix[] = "dump-";

  explicit DumpNames(std::string directory);

  // The path of one that comes `now`. No two are the same, and none is that of
  // anything in the directory.
  std::string Next(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::string directory_;
  absl::Mutex mu_;
  std::string second_ ABSL_GUARDED_BY(mu_);  // Of the latest one.
  int number_ ABSL_GUARDED_BY(mu_) = 1;      // In that second.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_DUMP_NAMES_H_
