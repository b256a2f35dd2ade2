#include "lib/transport/criu_dump_receiver.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/tls/client_hello.h"
#include "lib/transport/criu_message.h"

namespace pagelift {
namespace {

constexpr PageCount kPieceOfContents(256);

class Receiver {
 public:
  Receiver(StreamSocket& socket, const CriuDumpPatience& patience, int cancel,
           CriuDumpWriter& writer)
      : socket_(socket),
        patience_(patience),
        cancel_(cancel),
        writer_(writer) {}

  absl::Status Run() {
    while (!finished_) {
      CriuMessage bytes;
      RETURN_IF_ERROR(ReceiveAll(absl::MakeSpan(bytes),
                                 first_ ? patience_.first : patience_.next));
      absl::StatusOr<CriuSinkMessage> message = DecodeCriuSinkMessage(bytes);
      if (!message.ok() && first_ &&
          JudgeClientHello(bytes) != ClientHello::kNoTls) {
        return absl::InvalidArgumentError(
            "it wants TLS: start the server with --tls, or criu without");
      }
      RETURN_IF_ERROR(message.status());
      first_ = false;
      RETURN_IF_ERROR(std::visit(
          [this](const auto& said) { return Handle(said); }, *message));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Handle(const CriuOpen& open) {
    RETURN_IF_ERROR(writer_.Open(open.object));
    object_ = open.object;
    if (!open.wants_answer) return absl::OkStatus();
    constexpr std::array<std::byte, 1> kNoParent = {};
    return Answer(kNoParent);
  }

  absl::Status Handle(const CriuAskParent&) { return Answer(Number(0)); }

  absl::Status Handle(const CriuAdd& add) {
    if (!(object_ == add.object)) {
      return absl::InvalidArgumentError(
          absl::StrCat("pages of ", add.object.id, ", which is not open"));
    }
    RETURN_IF_ERROR(writer_.Add(add.pages, add.lazy));
    for (uint64_t left = add.pages.count.raw(); left > 0;) {
      const PageCount count(std::min(left, kPieceOfContents.raw()));
      const absl::Span<std::byte> piece(contents_.get(), count.bytes());
      RETURN_IF_ERROR(ReceiveAll(piece, patience_.next));
      RETURN_IF_ERROR(writer_.Write(piece));
      left -= count.raw();
    }
    return absl::OkStatus();
  }

  absl::Status Handle(const CriuClose&) {
    finished_ = true;
    const absl::Status finished = writer_.Finish();
    const absl::Status answered = Answer(Number(finished.ok() ? 0 : -1));
    RETURN_IF_ERROR(finished);
    if (!answered.ok()) {
      return Annotate(answered, "all came, but it could not be told so");
    }
    socket_.ShutdownSending();
    return absl::OkStatus();
  }

  static std::array<std::byte, kCriuEndStatusSize> Number(int32_t number) {
    std::array<std::byte, kCriuEndStatusSize> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(static_cast<uint32_t>(number) >> 8 * i);
    }
    return bytes;
  }

  // There is room for an answer, unless the far end does not read them.
  absl::Status Answer(absl::Span<const std::byte> bytes) {
    const iovec piece = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    const ssize_t sent = socket_.Send({&piece, 1}, MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(bytes.size())) return absl::OkStatus();
    if (sent >= 0 || errno == EAGAIN) {
      return absl::UnavailableError("it does not read its answers");
    }
    return socket_.Error("answer");
  }

  absl::Status ReceiveAll(absl::Span<std::byte> space, absl::Duration most) {
    const absl::Duration until = MonotonicNow() + most;
    const size_t wanted = space.size();
    while (!space.empty()) {
      const ssize_t came = socket_.Receive(space, MSG_DONTWAIT);
      if (came > 0) {
        space.remove_prefix(static_cast<size_t>(came));
      } else if (came == 0) {
        return first_ && space.size() == wanted
                   ? absl::NotFoundError("it said nothing")
                   : absl::UnavailableError("it left in the midst of the dump");
      } else if (errno == EAGAIN || errno == EINTR) {
        RETURN_IF_ERROR(WaitForMore(until));
      } else {
        return socket_.Error("receive");
      }
    }
    return absl::OkStatus();
  }

  absl::Status WaitForMore(absl::Duration until) {
    pollfd polled[] = {{socket_.fd(), POLLIN, 0}, {cancel_, POLLIN, 0}};
    const absl::Duration left = std::clamp(
        until - MonotonicNow(), absl::ZeroDuration(), absl::Hours(1));
    const int ready = poll(polled, 2,
                           static_cast<int>(absl::ToInt64Milliseconds(
                               left + absl::Milliseconds(1))));
    if (ready < 0 && errno != EINTR) return SysError("poll");
    if (polled[1].revents != 0) return absl::CancelledError("stopping");
    if (ready == 0 && MonotonicNow() >= until) {
      return absl::DeadlineExceededError("nothing came for too long");
    }
    return absl::OkStatus();
  }

  StreamSocket& socket_;
  const CriuDumpPatience patience_;
  const int cancel_;
  CriuDumpWriter& writer_;
  bool first_ = true;
  bool finished_ = false;
  std::optional<CriuObject> object_;
  const std::unique_ptr<std::byte[]> contents_ =
      std::make_unique<std::byte[]>(kPieceOfContents.bytes());
};

}  // namespace

absl::Status ReceiveCriuDump(StreamSocket& socket,
                             const CriuDumpPatience& patience, int cancel,
                             CriuDumpWriter& writer) {
  return Receiver(socket, patience, cancel, writer).Run();
}

}  // namespace pagelift
