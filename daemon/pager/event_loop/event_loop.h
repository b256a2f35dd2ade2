#ifndef PAGELIFT_DAEMON_PAGER_EVENT_LOOP_EVENT_LOOP_H_
#define PAGELIFT_DAEMON_PAGER_EVENT_LOOP_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/ready_watcher.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Waits for descriptors, timers and posted work, and runs what belongs to each,
// all on the one thread that calls Run(). Idle, it takes no CPU time.
//
// Lives on that thread, except for Post() and Stop().
class EventLoop : public ReadyWatcher {
 public:
  // A page server near by answers within that.
  static constexpr absl::Duration kDefaultSpin = absl::Microseconds(100);

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  absl::Status Watch(int fd, Callback on_readable) override;
  void Unwatch(int fd) override;

  // Calls `callback` once, `delay` from now.
  void RunAfter(absl::Duration delay, Callback callback);

  // Each time a descriptor was readable, looks on for so long before it sleeps:
  // to be woken takes longer than what is waited for often does. Where others
  // want the processor meanwhile, or there is but one, it lets that be for a
  // while. Zero, as at first: sleeps at once. Before Run().
  void SpinFor(absl::Duration spin);

  void Post(Callback callback) override ABSL_LOCKS_EXCLUDED(mu_);

  // Until Stop(). Returns what made waiting impossible, if anything did.
  absl::Status Run();
  // From any thread.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  EventLoop(UniqueFd epoll, UniqueFd wakeup);

  void RunPosted() ABSL_LOCKS_EXCLUDED(mu_);
  void RunTimers();
  // As epoll_pwait2(2), until the next timer.
  int WaitForEvents(absl::Span<epoll_event> events) const;
  // The same without sleeping: 0 if nothing came for as long as it may spin.
  int SpinForEvents(absl::Span<epoll_event> events);

  const UniqueFd epoll_;
  const UniqueFd wakeup_;
  struct Watched {
    uint32_t generation;
    // Shared, so that a callback may unwatch itself while it runs.
    std::shared_ptr<Callback> on_readable;
  };
  std::unordered_map<int, Watched> watched_;
  uint32_t next_generation_ = 0;
  std::multimap<absl::Duration, Callback> timers_;  // By MonotonicNow().
  absl::Duration spin_;
  absl::Duration spin_pause_;  // The latest, as long as others want the CPU.
  absl::Duration spin_again_;  // Not before; MonotonicNow().

  absl::Mutex mu_;
  std::vector<Callback> posted_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_EVENT_LOOP_EVENT_LOOP_H_
