#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_WATCH_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_WATCH_H_

#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "daemon/pager/holder/holder_page.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// Takes the holder's place when it dies: this process, a worker, ends, and one
// that was made from it turns into a holder, with every descriptor, and starts
// a worker that goes on.
class HolderWatch {
 public:
  // `argv` is the program's; both must outlive this.
  static absl::StatusOr<std::unique_ptr<HolderWatch>> Start(
      char* argv[], const HolderPage& page);
  ~HolderWatch();

 private:
  HolderWatch(PidFd holder, UniqueFd stop, char* argv[],
              const HolderPage& page);
  void Run();

  const PidFd holder_;
  const UniqueFd stop_;  // An eventfd.
  char** const argv_;
  const HolderPage& page_;
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_WATCH_H_
