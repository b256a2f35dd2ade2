#ifndef PAGELIFT_CLIENT_CLI_PHASE_LINE_H_
#define PAGELIFT_CLIENT_CLI_PHASE_LINE_H_

#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace pagelift {

// For as long as it lives, a line on a terminal that says what is being waited
// for and since when: from `after` on, and again each time as much has passed.
// When it goes, the line goes.
//
// Thread-compatible.
class PhaseLine {
 public:
  // Says nothing if `terminal` is -1, and keeps it otherwise borrowed.
  PhaseLine(int terminal, std::string what,
            absl::Duration after = absl::Seconds(1));
  ~PhaseLine();
  PhaseLine(const PhaseLine&) = delete;
  PhaseLine& operator=(const PhaseLine&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const int terminal_;
  const std::string what_;
  const absl::Duration after_;
  absl::Mutex mu_;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_PHASE_LINE_H_
