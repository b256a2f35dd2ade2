#include "lib/transport/progress_watch.h"

#include <utility>

#include "lib/base/thread_name.h"

namespace pagelift {

ProgressWatch::ProgressWatch(std::vector<FetchStream*> streams,
                             absl::Duration interval)
    : streams_(std::move(streams)),
      interval_(interval),
      thread_([this] { Run(); }) {}

ProgressWatch::~ProgressWatch() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void ProgressWatch::Run() {
  NameThisThread("pl-watch");
  absl::MutexLock lock(&mu_);
  while (!mu_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) {
    for (FetchStream* stream : streams_) stream->CheckProgress();
  }
}

}  // namespace pagelift
