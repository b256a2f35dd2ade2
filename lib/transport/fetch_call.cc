#include "lib/transport/fetch_call.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
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

FetchCall::FetchCall(Endpoint endpoint)
    : endpoint_(std::move(endpoint)),
      cancel_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      received_(kBufferBytes),
      call_(
          SingleCall::Client(Authority(endpoint_.address), kFetchPagesMethod)) {
  CHECK(cancel_.valid()) << "no descriptor left";
}

FetchCall::~FetchCall() = default;

absl::Status FetchCall::Open(absl::string_view first_message) {
  end_ = Connect();
  if (!end_.ok()) return end_;
  if (cancelled_) return end_ = absl::CancelledError("stopping");
  absl::MutexLock lock(&mu_);
  call_->Send(first_message, {});
  return end_ = Flush();
}

absl::Status FetchCall::Connect() {
  const absl::Duration give_up = MonotonicNow() + kConnectDeadline;
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectTo(endpoint_.address,
                                              kConnectDeadline, cancel_.get()));
  TunePageSocket(socket.get());
  socket_ = StreamSocket(std::move(socket));
  connected_ = socket_.fd();
  if (endpoint_.tls == nullptr) return absl::OkStatus();
  return Annotate(socket_.StartTls(TlsSession::Client(*endpoint_.tls->Current(),
                                                      endpoint_.server_name),
                                   {}, give_up - MonotonicNow(), cancel_.get()),
                  endpoint_.address);
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
  return output_
      .SendBy([this](absl::Span<const iovec> pieces) {
        return socket_.Send(pieces, 0);
      })
      .status();
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
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      MessageAssembler& messages = call_->messages();
      if (messages.has_message()) {
        message_ = messages.front();
        messages.Pop();
        return &message_;
      }
    }
    // Who waits for the descriptor would not learn of it.
    if (ended_ || !socket_.has_received()) return nullptr;
    ReceiveSome(MSG_DONTWAIT);
  }
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
  const ssize_t came = socket_.Receive(space, flags);
  if (came < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (came <= 0) {
    end_ = came == 0
               ? absl::UnavailableError("the server closed the connection")
               : socket_.Error("receive");
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
