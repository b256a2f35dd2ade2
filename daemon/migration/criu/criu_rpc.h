#ifndef PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_RPC_H_
#define PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_RPC_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "criu/rpc.pb.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// What criu is to do.
struct CriuWork {
  criu::RpcKind kind = criu::RPC_NOTHING;  // RPC_DUMP or RPC_RESTORE.
  std::string images;  // Directories, and the log's name in the second.
  std::string work_dir;
  std::string log_file;
  int log_level = 2;  // 2: errors and warnings; 4: all.
  pid_t root = 0;     // Of the tree that is dumped.
  bool lazy = false;
  std::vector<std::string> options;  // The user's, see CriuConfig().
  // Lines of a configuration file that the user may not give.
  std::string config = "";
};

// Our end of the socket of a `criu swrk`: a criu that has started, and is told
// over it what to do (https://criu.org/RPC). At each point at which it would
// run its action scripts it says so instead, and waits for an answer. If our
// end is closed it has failed: a restore is taken back; a tree that is being
// dumped goes on.
//
// Thread-compatible.
class CriuRpc {
 public:
  struct Pair;
  // Nobody else has either end.
  static absl::StatusOr<Pair> Make();
  // Takes over one of Make().
  explicit CriuRpc(UniqueFd socket) : socket_(std::move(socket)) {}

  // Starts the criu of `argv[0]`, whose name is all that there is in it, with
  // its end, which it inherits, and with all else that `start` says.
  static absl::StatusOr<ChildProgram> StartCriu(ProgramStart start,
                                                const UniqueFd& for_criu);

  // To be called once, by the process that has called Make(). kInvalidArgument:
  // of CriuConfig().
  absl::Status Begin(const CriuWork& work);

  // What that criu says next. kUnavailable: nothing any more, it has ended, or
  // is about to. kDeadlineExceeded: nothing until MonotonicNow() was
  // `deadline`. kCancelled if the descriptor `cancel`, -1 for none, is readable
  // first.
  absl::StatusOr<criu::RpcResponse> Next(
      const PidFd& criu, absl::Duration deadline = absl::InfiniteDuration(),
      int cancel = -1);

  // After RPC_NOTIFY: whether it is to go on.
  absl::Status Answer(bool go_on);

  // -1 after Release().
  int fd() const { return socket_.get(); }
  UniqueFd Release() { return std::move(socket_); }

 private:
  absl::Status Send(const criu::RpcRequest& request);

  UniqueFd socket_;
  // What CRIU opens by our descriptors' numbers, when it begins.
  UniqueFd images_;
  UniqueFd work_;
  UniqueFd config_;
};

struct CriuRpc::Pair {
  CriuRpc rpc;
  UniqueFd for_criu;  // To be inherited by CRIU, and then closed.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_CRIU_CRIU_RPC_H_
