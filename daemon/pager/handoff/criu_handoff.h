#ifndef PAGELIFT_DAEMON_PAGER_HANDOFF_CRIU_HANDOFF_H_
#define PAGELIFT_DAEMON_PAGER_HANDOFF_CRIU_HANDOFF_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_channel.h"

namespace pagelift {

// What `criu restore --lazy-pages` tells the lazy-pages daemon.

// A task was created. Its userfaultfd's handshake is done; nothing is
// registered yet, and until RestoreFinished only faults may be served.
struct TaskArrived {
  int32_t
      image_pid;   // In the image, i.e. in the pid namespace that was dumped.
  pid_t host_pid;  // In ours; 0 if it cannot be seen from here.
  UniqueFd userfaultfd;
};
// A task that is a zombie: it has no memory.
struct ZombieArrived {
  int32_t image_pid;
};
// Everything is registered; the tasks are about to run.
struct RestoreFinished {};
// Restore has closed its end: normal after RestoreFinished, else it failed.
struct RestoreHungUp {};

using HandoffEvent =
    std::variant<TaskArrived, ZombieArrived, RestoreFinished, RestoreHungUp>;

// CRIU's side of the socket, decoded. The stream has, for each task in any
// order, its pid as a little-endian int32 (negated for a zombie) and, for the
// living, one byte that carries the userfaultfd; in the end the word
// 0x52535446. Nothing is ever sent back. CRIU has spoken it like this
// since 3.7.
//
// Thread-compatible.
class CriuHandoff {
 public:
  // A task was announced, by `sender`, and its descriptor comes next.
  struct Due {
    int32_t image_pid;
    pid_t sender;
  };

  // `channel` must tell credentials: the sender of a pid is the task itself.
  // `due` is what another process has received before.
  explicit CriuHandoff(FdChannel channel, std::optional<Due> due = {});

  // Everything that can be decoded without waiting. kInvalidArgument if the
  // other side is not a CRIU restore and nothing came before that showed;
  // nothing useful can follow then. So call it until it is empty or fails.
  absl::StatusOr<std::vector<HandoffEvent>> Receive();

  // Whatever restore says from now on fails on its side. What it has said
  // before can still be received.
  void RefuseMore();

  // Where in the stream it is: all that another process needs to go on, if it
  // is not in the middle of a word.
  std::optional<Due> due() const {
    if (!task_without_fd_.has_value()) return std::nullopt;
    return Due{*task_without_fd_, sender_};
  }
  bool in_word() const { return word_filled_ != 0; }
  // Restore has closed its end, and nothing is left to receive.
  bool has_hung_up() const;

  int fd() const { return channel_.fd(); }  // To poll; still ours.

 private:
  // One receive; false if there is nothing to receive now.
  absl::StatusOr<bool> ReceiveOnce(std::vector<HandoffEvent>& events);
  absl::Status TakeWord(int32_t word, std::vector<HandoffEvent>& events);

  FdChannel channel_;
  std::array<std::byte, 4> word_;
  size_t word_filled_ = 0;
  pid_t sender_ = 0;
  std::optional<int32_t> task_without_fd_;
  bool hung_up_ = false;
  absl::Status broken_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HANDOFF_CRIU_HANDOFF_H_
