#ifndef PAGELIFT_LIB_TRANSPORT_PROGRESS_WATCH_H_
#define PAGELIFT_LIB_TRANSPORT_PROGRESS_WATCH_H_

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/transport/fetch_stream.h"

namespace pagelift {

// A thread that asks streams now and then whether their server is silent.
//
// By the clock, and not woken by requests: waking it would cost each fault of
// an idle target a switch between threads.
class ProgressWatch {
 public:
  // The streams must outlive it.
  ProgressWatch(std::vector<FetchStream*> streams, absl::Duration interval);
  ~ProgressWatch();
  ProgressWatch(const ProgressWatch&) = delete;
  ProgressWatch& operator=(const ProgressWatch&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const std::vector<FetchStream*> streams_;
  const absl::Duration interval_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PROGRESS_WATCH_H_
