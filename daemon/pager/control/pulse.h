#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/pager/control/session_registry.h"
#include "daemon/pager/holder/holder_page.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Shows the holder that this worker moves: every session's event thread turns,
// and nobody keeps the registry's lock. The holder kills a worker that does
// not, and another one goes on. Tells a service manager what is going on, too.
class Pulse {
 public:
  // A worker may stand still for `patience`; zero: for ever. `registry` and
  // `page` must outlive this.
  static absl::StatusOr<std::unique_ptr<Pulse>> Start(SessionRegistry& registry,
                                                      absl::Duration patience,
                                                      HolderPage& page);
  ~Pulse();

 private:
  Pulse(SessionRegistry& registry, absl::Duration patience, HolderPage& page,
        UniqueFd stop);
  void Run();
  void Tell();

  SessionRegistry& registry_;
  const absl::Duration patience_;
  HolderPage& page_;
  const UniqueFd stop_;  // An eventfd.
  std::string told_;
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_
