#include "daemon/pager/handoff/criu_handoff.h"

#include <sys/socket.h>

#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// "FTSR" on the wire. No pid can be that large.
constexpr int32_t kRestoreFinished = 0x52535446;
// PID_MAX_LIMIT of 64-bit kernels.
constexpr int32_t kMaxPid = 1 << 22;

absl::Status NotCriu(absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the process that connected to lazy-pages.socket does not speak CRIU's "
      "protocol: ",
      problem));
}

}  // namespace

CriuHandoff::CriuHandoff(FdChannel channel, std::optional<Due> due)
    : channel_(std::move(channel)) {
  if (!due.has_value()) return;
  task_without_fd_ = due->image_pid;
  sender_ = due->sender;
}

absl::StatusOr<std::vector<HandoffEvent>> CriuHandoff::Receive() {
  std::vector<HandoffEvent> events;
  while (!hung_up_ && broken_.ok()) {
    absl::StatusOr<bool> more = ReceiveOnce(events);
    broken_ = more.status();
    if (more.ok() && !*more) break;
  }
  // Descriptors that came before the damage are not to be dropped with it.
  if (events.empty()) RETURN_IF_ERROR(broken_);
  return events;
}

void CriuHandoff::RefuseMore() { shutdown(channel_.fd(), SHUT_RD); }

bool CriuHandoff::has_hung_up() const {
  char next;
  return recv(channel_.fd(), &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

absl::StatusOr<bool> CriuHandoff::ReceiveOnce(
    std::vector<HandoffEvent>& events) {
  std::byte carrier;
  // Exactly what is due: a larger receive could merge the next pid with the
  // byte that carries this one's descriptor.
  const bool fd_is_due = task_without_fd_.has_value();
  absl::Span<std::byte> into =
      fd_is_due ? absl::Span<std::byte>(&carrier, 1)
                : absl::Span<std::byte>(word_).subspan(word_filled_);
  absl::StatusOr<Received> received =
      channel_.ReceiveWithFds(into, Wait::kDontWait);
  if (received.status().code() == absl::StatusCode::kUnavailable) return false;
  RETURN_IF_ERROR(received.status());
  if (received->bytes == 0) {
    hung_up_ = true;
    events.push_back(RestoreHungUp{});
    return false;
  }
  if (fd_is_due) {
    if (received->fds.size() != 1) {
      return NotCriu(absl::StrCat("task ", *task_without_fd_, " came with ",
                                  received->fds.size(), " descriptors"));
    }
    events.push_back(TaskArrived{*task_without_fd_, sender_,
                                 std::move(received->fds.front())});
    task_without_fd_.reset();
    return true;
  }
  if (!received->fds.empty()) return NotCriu("a descriptor without a task");
  if (word_filled_ == 0) {
    sender_ = received->sender.has_value() ? received->sender->pid : 0;
  }
  word_filled_ += received->bytes;
  if (word_filled_ < word_.size()) return true;
  word_filled_ = 0;
  int32_t word;
  std::memcpy(&word, word_.data(), sizeof(word));
  RETURN_IF_ERROR(TakeWord(word, events));
  return true;
}

absl::Status CriuHandoff::TakeWord(int32_t word,
                                   std::vector<HandoffEvent>& events) {
  if (word == kRestoreFinished) {
    events.push_back(RestoreFinished{});
  } else if (0 < word && word <= kMaxPid) {
    task_without_fd_ = word;
  } else if (-kMaxPid <= word && word < 0) {
    events.push_back(ZombieArrived{-word});
  } else {
    return NotCriu(absl::StrCat(word, " is no pid"));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
