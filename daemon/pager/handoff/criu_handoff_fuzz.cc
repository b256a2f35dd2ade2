// Whatever the process at the other end of lazy-pages.socket sends, cut
// wherever, with descriptors wherever: what is decoded is what the stream says,
// up to the first thing that CRIU would not say, and no descriptor stays open.
//
// The input is a list of sends, each with a byte before it: its low four bits
// are a number of bytes, the next two one of descriptors that go with the first
// of them; the highest bit has all that was sent received before it.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "daemon/pager/handoff/criu_handoff.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_channel.h"
#include "lib/process/testing/send_with_fds.h"

namespace pagelift {
namespace {

constexpr int32_t kRestoreFinished = 0x52535446;
constexpr int32_t kMaxPid = 1 << 22;

// What an event says, without its descriptor.
struct Said {
  enum class Kind { kTask, kZombie, kFinished, kHungUp } kind;
  int32_t pid = 0;

  friend bool operator==(const Said& a, const Said& b) {
    return a.kind == b.kind && a.pid == b.pid;
  }
};

// The same protocol, told byte by byte.
class Model {
 public:
  void Take(uint8_t byte, size_t fds) {
    if (broken_) return;
    if (task_ != 0) {
      broken_ = fds != 1;
      if (!broken_) said_.push_back({Said::Kind::kTask, task_});
      task_ = 0;
      return;
    }
    broken_ = fds != 0;
    word_ |= uint32_t{byte} << (8 * filled_);
    if (broken_ || ++filled_ < 4) return;
    TakeWord(static_cast<int32_t>(std::exchange(word_, 0)));
    filled_ = 0;
  }
  void Close() {
    if (!broken_) said_.push_back({Said::Kind::kHungUp});
  }

  const std::vector<Said>& said() const { return said_; }
  bool broken() const { return broken_; }

 private:
  void TakeWord(int32_t word) {
    if (word == kRestoreFinished) {
      said_.push_back({Said::Kind::kFinished});
    } else if (0 < word && word <= kMaxPid) {
      task_ = word;
    } else if (-kMaxPid <= word && word < 0) {
      said_.push_back({Said::Kind::kZombie, -word});
    } else {
      broken_ = true;
    }
  }

  std::vector<Said> said_;
  uint32_t word_ = 0;
  int filled_ = 0;
  int32_t task_ = 0;
  bool broken_ = false;
};

class Listener {
 public:
  explicit Listener(UniqueFd socket) : handoff_(FdChannel(std::move(socket))) {}

  void ReceiveAll() {
    while (true) {
      absl::StatusOr<std::vector<HandoffEvent>> events = handoff_.Receive();
      broken_ = !events.ok();
      if (broken_ || events->empty()) return;
      for (const HandoffEvent& event : *events) std::visit(*this, event);
    }
  }

  void operator()(const TaskArrived& task) {
    CHECK(fcntl(task.userfaultfd.get(), F_GETFD) == FD_CLOEXEC);
    CHECK(task.host_pid == getpid());
    said_.push_back({Said::Kind::kTask, task.image_pid});
  }
  void operator()(const ZombieArrived& zombie) {
    said_.push_back({Said::Kind::kZombie, zombie.image_pid});
  }
  void operator()(const RestoreFinished&) {
    said_.push_back({Said::Kind::kFinished});
  }
  void operator()(const RestoreHungUp&) {
    said_.push_back({Said::Kind::kHungUp});
  }

  const std::vector<Said>& said() const { return said_; }
  bool broken() const { return broken_; }

 private:
  CriuHandoff handoff_;
  std::vector<Said> said_;
  bool broken_ = false;
};

// False if the other side has to receive first.
bool Send(int socket, absl::Span<const uint8_t> bytes, size_t fds) {
  const ssize_t sent = SendWithFds(
      socket, {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()},
      std::vector<int>(fds, socket), MSG_DONTWAIT | MSG_NOSIGNAL);
  CHECK(sent == static_cast<ssize_t>(bytes.size()) || errno == EAGAIN);
  return sent > 0;
}

void Run(absl::Span<const uint8_t> input) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  UniqueFd restore(ends[0]);
  CHECK(FdChannel(UniqueFd(dup(ends[1]))).SetPassCredentials().ok());
  Listener listener{UniqueFd(ends[1])};
  Model model;
  while (!input.empty()) {
    const uint8_t head = input.front();
    input.remove_prefix(1);
    const absl::Span<const uint8_t> bytes =
        input.first(std::min<size_t>(input.size(), head & 0xf));
    const size_t fds = head >> 4 & 3;
    input.remove_prefix(bytes.size());
    if ((head & 0x80) != 0) listener.ReceiveAll();
    if (bytes.empty()) continue;
    while (!Send(restore.get(), bytes, fds)) {
      if (model.broken()) return;  // Nobody receives any more.
      listener.ReceiveAll();
    }
    for (size_t i = 0; i < bytes.size(); ++i) {
      model.Take(bytes[i], i == 0 ? fds : 0);
    }
  }
  restore.reset();
  model.Close();
  listener.ReceiveAll();
  CHECK(listener.said() == model.said());
  CHECK(listener.broken() == model.broken());
}

int LowestFreeFd() {
  return UniqueFd(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)).get();
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int free_fd = pagelift::LowestFreeFd();
  pagelift::Run({data, size});
  CHECK(pagelift::LowestFreeFd() == free_fd);
  return 0;
}
