#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Our end of the only connection of a `criu dump --lazy-pages --ps-socket N`:
// what becomes of it decides what CRIU does with the tree that it has frozen.
//
//   reset                CRIU lets the tree go on
//   told to finish       CRIU kills the tree; nothing that comes later matters
//   closed in order      the same, therefore we never do
//
// The socket lingers for 0 seconds from before it is connected, and always
// will: if its last holder dies at whatever instant, it is reset. A worker that
// dies is not the last holder, since a guard shares its descriptors; the next
// one adopts the number, and may repeat what was begun. Dropping this object
// therefore leaves the connection as it is.
//
// Thread-compatible.
class CriuLeash {
 public:
  struct Pair;
  // Nobody else is connected to either end, or can be.
  static absl::StatusOr<Pair> Make();

  // Takes over what a dead worker had. kNotFound if it is no leash: it has been
  // reset, or has finished.
  static absl::StatusOr<CriuLeash> Adopt(int fd);

  CriuLeash(CriuLeash&& other) = default;
  ~CriuLeash() { (void)fd_.release(); }

  int fd() const { return fd_.get(); }  // -1: it is used up.

  // The tree goes on, whoever else holds the descriptor. If CRIU is still
  // dumping it goes on when that is done. After Finish() was tried this may
  // come too late.
  void Reset();

  // Tells CRIU that no page is needed any more, and returns when it has
  // answered and ended the connection: it then kills the tree. From the moment
  // the message is sent that cannot be stopped. The answer is looked at, and
  // stays in the socket: a worker that does this again after another one has
  // died in its midst finds it, and does not ask twice.
  //
  // After an error it may have killed the tree or not: whoever wants it dead
  // kills its tasks. kUnavailable: CRIU has gone without an answer.
  // kDeadlineExceeded: it has not answered yet, and the leash is still there.
  absl::Status Finish(absl::Duration patience);

 private:
  explicit CriuLeash(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

struct CriuLeash::Pair {
  CriuLeash leash;
  UniqueFd for_criu;  // To be inherited by CRIU, and then closed.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_CRIU_LEASH_H_
