#ifndef PAGELIFT_DAEMON_PAGER_SESSION_RESTORE_RECORDER_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_RESTORE_RECORDER_H_

#include <thread>

#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/source/page_source.h"
#include "lib/workingset/fault_recorder.h"

namespace pagelift {

// Records which pages a restore touches, and in which order, until its targets
// have settled; then has the source keep that, on a thread of its own, for a
// source may have to ask its server. A source that keeps nothing is no trouble.
//
// Lives on the session's event thread. Times are MonotonicNow()'s.
class RestoreRecorder {
 public:
  // `source` must outlive this. `wanted`: somebody asked for it, and is told if
  // nothing is kept.
  RestoreRecorder(PageSource& source, bool wanted)
      : source_(source),
        wanted_(wanted),
        recorder_(source.description().page_count) {}
  // Waits until what was recorded is kept, or has been refused.
  ~RestoreRecorder();
  RestoreRecorder(const RestoreRecorder&) = delete;
  RestoreRecorder& operator=(const RestoreRecorder&) = delete;

  // The targets run.
  void Start(absl::Duration now) { recorder_.Start(now); }
  // Somebody touched a page that was not there.
  void OnFault(ImagePage page, absl::Duration now) {
    recorder_.OnFault(page, now);
  }
  // To be asked now and then, once it was started; `waiting`: a thread waits
  // for a page. Whether it is over.
  bool CheckSettled(absl::Duration now, bool waiting);
  // There is nothing more to record. Idempotent.
  void End();

 private:
  PageSource& source_;
  const bool wanted_;
  FaultRecorder recorder_;
  std::thread keeper_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_RESTORE_RECORDER_H_
