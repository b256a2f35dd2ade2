#include "lib/transport/fetch_call.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/transport/fetch_method.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

constexpr absl::Duration kConnectDeadline = absl::Seconds(10);
// What is read at once: pages are checked and installed while they are still
// in the processor's cache.
constexpr size_t kReadBytes = 256 << 10;
// A message that has begun is read to its end behind what came with it.
constexpr size_t kBufferBytes = 1 << 20;
// It is not worth while to be woken before all of so long a rest is there.
constexpr size_t kLongRest = 64 << 10;

// For people; a Unix socket's path is no host.
std::string Authority(const std::string& address) {
  return absl::StartsWith(address, "unix:") ? "localhost" : address;
}

}  // namespace

FetchCall::FetchCall(std::string address)
    : address_(std::move(address)),
      cancel_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      received_(kBufferBytes),
      call_(SingleCall::Client(Authority(address_), kFetchPagesMethod)) {
  CHECK(cancel_.valid()) << "no descriptor left";
}

FetchCall::~FetchCall() = default;

absl::Status FetchCall::Open(absl::string_view first_message) {
  absl::StatusOr<UniqueFd> socket =
      ConnectTo(address_, kConnectDeadline, cancel_.get());
  if (!socket.ok()) return end_ = socket.status();
  socket_ = *std::move(socket);
  TunePageSocket(socket_.get());
  connected_ = socket_.get();
  if (cancelled_) return end_ = absl::CancelledError("stopping");
  absl::MutexLock lock(&mu_);
  call_->Send(first_message, {});
  return end_ = Flush();
}

void FetchCall::Cancel() {
  cancelled_ = true;
  const uint64_t one = 1;
  CHECK(write(cancel_.get(), &one, sizeof(one)) == sizeof(one));
  const int socket = connected_;
  if (socket >= 0) shutdown(socket, SHUT_RDWR);
}

absl::Status FetchCall::Flush() {
  call_->Produce(output_);
  return output_.SendTo(socket_.get(), 0).status();
}

void FetchCall::Write(absl::Span<const std::string> messages) {
  absl::MutexLock lock(&mu_);
  for (const std::string& message : messages) call_->Send(message, {});
  // If it cannot be sent, nothing can be received either.
  Flush().IgnoreError();
}

bool FetchCall::WaitForAcceptance() {
  while (!ended_) {
    {
      absl::MutexLock lock(&mu_);
      if (call_->has_headers()) {
        for (const auto& [name, value] : call_->headers()) {
          if (name == kProtocolMetadata) return true;
        }
        return false;
      }
    }
    ReceiveSome(0);
  }
  return false;
}

void FetchCall::Take() { ReceiveSome(MSG_DONTWAIT); }

const MessagePieces* FetchCall::Next() {
  absl::MutexLock lock(&mu_);
  MessageAssembler& messages = call_->messages();
  if (!messages.has_message()) return nullptr;
  message_ = messages.front();
  messages.Pop();
  return &message_;
}

const MessagePieces* FetchCall::Read() {
  while (true) {
    const MessagePieces* message = Next();
    if (message != nullptr || ended_) return message;
    ReceiveSome(0);
  }
}

void FetchCall::ReceiveSome(int flags) {
  size_t wanted = kReadBytes;
  {
    absl::MutexLock lock(&mu_);
    MessageAssembler& messages = call_->messages();
    received_.MakeRoom(messages);
    // No further than to its end: the next message then starts in front.
    if (messages.missing() > 0) wanted = messages.missing();
    if (flags == 0 && messages.missing() > kLongRest) flags = MSG_WAITALL;
  }
  const absl::Span<std::byte> space = received_.Space(wanted);
  const ssize_t came = recv(socket_.get(), space.data(), space.size(), flags);
  if (came < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (came <= 0) {
    end_ = came == 0
               ? absl::UnavailableError("the server closed the connection")
               : SysError("receive");
    ended_ = true;
    return;
  }
  absl::MutexLock lock(&mu_);
  end_ = call_->Receive(received_.Took(static_cast<size_t>(came)));
  ended_ = !end_.ok();
  if (!ended_ && call_->ended().has_value()) {
    end_ = *call_->ended();
    ended_ = true;
  }
  // Answers to pings and settings, and room for what comes next. A failure is
  // one of receiving, too.
  Flush().IgnoreError();
}

}  // namespace pagelift
