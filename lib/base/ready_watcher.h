#ifndef PAGELIFT_LIB_BASE_READY_WATCHER_H_
#define PAGELIFT_LIB_BASE_READY_WATCHER_H_

#include <functional>

#include "absl/status/status.h"

namespace pagelift {

// Tells when descriptors can be read, all on one thread, which is its own.
class ReadyWatcher {
 public:
  using Callback = std::function<void()>;

  virtual ~ReadyWatcher() = default;

  // On its thread, or while it does not run: calls `on_readable`, on its
  // thread, whenever `fd` is readable or has hung up. `fd` is borrowed until
  // Unwatch(fd), which may be called from within a callback.
  virtual absl::Status Watch(int fd, Callback on_readable) = 0;
  virtual void Unwatch(int fd) = 0;

  // From any thread: calls `callback` on its thread soon, or never, if it does
  // not run again.
  virtual void Post(Callback callback) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_READY_WATCHER_H_
