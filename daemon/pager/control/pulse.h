#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/pager/holder/holder_page.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Shows the holder that this worker moves. The holder kills a worker that does
// not, and another one goes on. Tells a service manager what is going on, too.
class Pulse {
 public:
  struct Options {
    // When what stands still the longest last moved, by MonotonicNow(). Called
    // again and again, on a thread of its own, whose standing still counts,
    // too.
    std::function<absl::Duration()> last_moved;
    // For people, in some words.
    std::function<std::string()> summary;
    // A worker may stand still for so long; zero: for ever.
    absl::Duration patience;
  };

  // `page`, and what the options use, must outlive this.
  static absl::StatusOr<std::unique_ptr<Pulse>> Start(Options options,
                                                      HolderPage& page);
  ~Pulse();

 private:
  Pulse(Options options, HolderPage& page, UniqueFd stop);
  void Run();
  void Tell();

  const Options options_;
  HolderPage& page_;
  const UniqueFd stop_;  // An eventfd.
  std::string told_;
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_PULSE_H_
