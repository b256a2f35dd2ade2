#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_CRIU_SWRK_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_CRIU_SWRK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "criu/rpc.pb.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"

namespace pagelift {

// What is to be restored.
struct CriuRestore {
  std::string images;  // Directories, and the log's name in the second.
  std::string work_dir;
  std::string log_file;
  bool lazy = true;
  std::vector<std::string> options;  // See CriuConfig().
};

// As words that can be written down, and back. kInvalidArgument: they are not
// of those.
std::vector<std::string> ToWords(const CriuRestore& restore);
absl::StatusOr<CriuRestore> FromWords(const std::vector<std::string>& words);

// A `criu swrk`: a criu that has started, and is told over a socket what to do
// (https://criu.org/RPC). At each point of a restore at which it would run its
// action scripts it says so instead, and waits for an answer. If the socket is
// closed, which is when we die, it has failed.
//
// Thread-compatible. CRIU itself goes on when this is dropped, and fails.
class CriuSwrk {
 public:
  static absl::StatusOr<CriuSwrk> Start(const std::string& criu);

  ChildProgram& program() { return program_; }
  // Readable when there is something for Next(), or never will be.
  int fd() const { return socket_.get(); }

  // To be called once. kInvalidArgument: of CriuConfig().
  absl::Status Begin(const CriuRestore& restore);
  // What it says next; waits for it. kUnavailable: nothing any more, it ends.
  absl::StatusOr<criu::RpcResponse> Next();
  // After RPC_NOTIFY: whether it is to go on.
  absl::Status Answer(bool go_on);

 private:
  CriuSwrk(ChildProgram program, UniqueFd socket)
      : program_(std::move(program)), socket_(std::move(socket)) {}
  absl::Status Send(const criu::RpcRequest& request);

  ChildProgram program_;
  UniqueFd socket_;
  // What CRIU opens by our descriptors' numbers, whenever it does.
  UniqueFd images_;
  UniqueFd work_;
  UniqueFd config_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_CRIU_SWRK_H_
