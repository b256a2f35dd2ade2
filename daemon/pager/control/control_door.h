#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_DOOR_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_DOOR_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_listener.h"

namespace pagelift {

// Where the control service is to be reached: a Unix socket of our own, not
// gRPC's, which gives no say in the mode of the file, does not tell who
// connects, and cannot go on with a socket that listens already, which it does
// while a worker takes the place of another. So nobody is ever refused.
//
// Only root and our own user get in.
class ControlDoor {
 public:
  // Listens at `path`, whose directory is made if it is missing, or takes over
  // `listener`, another process's, if that is valid.
  static absl::StatusOr<FdListener> Listen(const std::string& path,
                                           UniqueFd listener);

  // Gives `server` every connection, until this is destroyed. `server` and
  // `listener` must outlive it.
  static absl::StatusOr<std::unique_ptr<ControlDoor>> Open(
      const FdListener& listener, grpc::Server& server);
  ~ControlDoor();

 private:
  ControlDoor(const FdListener& listener, grpc::Server& server, UniqueFd stop);
  void Run();

  const FdListener& listener_;
  grpc::Server& server_;
  const UniqueFd stop_;  // An eventfd.
  std::thread thread_;   // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_CONTROL_DOOR_H_
