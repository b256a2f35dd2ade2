#ifndef TESTS_BENCH_TRACE_RECORDER_TOUCH_RECORDER_H_
#define TESTS_BENCH_TRACE_RECORDER_TOUCH_RECORDER_H_

#include <ostream>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/uffd/event.h"
#include "lib/uffd/userfault_fd.h"
#include "tests/bench/trace_recorder/recorded_memory.h"
#include "tests/stress/lazify/anonymous_memory.h"

namespace pagelift::bench {

// The lines of a trace that say what there was, and where.
void WriteRegion(const stress::AnonymousMapping& mapping, std::ostream& trace);

// Gives a process its pages back when it touches them, and writes down when
// that was; time begins when this is made.
//
// Thread-compatible. What it is made of outlives it.
class TouchRecorder {
 public:
  TouchRecorder(const UserfaultFd& uffd, RecordedMemory& memory,
                std::ostream& trace);

  // Reads and answers what has come; fine if nothing has. Call it again soon
  // while a thread is still waiting(): something was in the way.
  absl::Status ServeEvents();
  bool waiting() const { return !faults_.empty(); }

  void GiveBackTheRest();

 private:
  struct Waiting {
    PageFault fault;
    absl::Duration since;
  };

  void Handle(Event& event);
  // False if it has to be tried again later.
  bool Serve(const Waiting& waiting);
  int64_t Now() const;

  const UserfaultFd& uffd_;
  RecordedMemory& memory_;
  std::ostream& trace_;
  const absl::Duration start_;
  EventBuffer events_;
  std::vector<Waiting> faults_;
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_TRACE_RECORDER_TOUCH_RECORDER_H_
