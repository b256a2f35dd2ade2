#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/migration/criu/criu_rpc.h"
#include "lib/base/unique_fd.h"
#include "lib/process/pidfd.h"

namespace pagelift {

// Our end of the socket of a criu that has dumped a tree, and now waits in its
// `post-dump`: what becomes of it decides what CRIU does with the tree that it
// has frozen.
//
//   told to go on        CRIU kills the tree; nothing that comes later matters
//   anything else        CRIU lets the tree go on, and its connections work
//
// If its last holder dies at whatever instant, the tree goes on. A worker that
// dies is not the last holder, since a guard shares its descriptors; the next
// one adopts the number, and may repeat what was begun. Dropping this object
// therefore leaves the connection as it is.
//
// Thread-compatible.
class CriuLeash {
 public:
  struct Pair;
  // Nobody else has either end, or can have.
  static absl::StatusOr<Pair> Make();

  // Takes over what a dead worker had. kNotFound if it is no leash: it has been
  // given up, or has finished.
  static absl::StatusOr<CriuLeash> Adopt(int fd);

  CriuLeash(CriuLeash&& other) = default;
  ~CriuLeash() { (void)rpc_.Release().release(); }

  int fd() const { return rpc_.fd(); }  // -1: it is used up.
  // To have it dump; see ParkedDump.
  CriuRpc& rpc() { return rpc_; }

  // The tree goes on, whoever else holds the descriptor. If CRIU is still
  // dumping it goes on when that has come to where CRIU asks. After Finish()
  // was tried this may come too late.
  void Reset();

  // Tells a CRIU that waits in its `post-dump` to go on, and returns when it
  // has answered: it has killed the tree. From the moment the message is sent
  // that cannot be stopped. May be repeated by a worker after another one that
  // has died in its midst.
  //
  // After an error it may have killed the tree or not: whoever wants it dead
  // kills its tasks. kUnavailable: CRIU has gone without an answer, or another
  // worker has heard it. kDeadlineExceeded: it has not answered yet, and the
  // leash is still there.
  absl::Status Finish(const PidFd& criu, absl::Duration patience);

 private:
  explicit CriuLeash(CriuRpc rpc) : rpc_(std::move(rpc)) {}

  CriuRpc rpc_;
};

struct CriuLeash::Pair {
  CriuLeash leash;
  UniqueFd for_criu;  // To be inherited by CRIU, and then closed.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_
