#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_UPGRADE_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_UPGRADE_H_

#include <string>
#include <thread>

#include "absl/status/status.h"
#include "daemon/pager/holder/holder_page.h"

namespace pagelift {

// What a program has to know to go on with what we leave: the versions of the
// memory that outlives us, as text.
std::string VersionsWeLeave();

// Replaces this daemon's processes by those of another program. Targets wait
// while that happens, as when a worker crashes.
//
// Thread-safe: one upgrade at a time is the caller's business.
class Upgrade {
 public:
  explicit Upgrade(HolderPage& page) : page_(page) {}
  ~Upgrade();

  // Asks `program`, a pageliftd by its absolute path, whether it can go on; if
  // it can, this process ends a moment after this has returned. Empty: the
  // program that this one was started from, as it is now. Otherwise nothing has
  // changed; kFailedPrecondition says why.
  absl::Status Begin(const std::string& program);

 private:
  HolderPage& page_;
  std::thread end_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_UPGRADE_H_
