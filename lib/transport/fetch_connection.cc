#include "lib/transport/fetch_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"
#include "lib/transport/batch_writer.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/fetch_method.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

// Requests are small; some hundred of them.
constexpr size_t kReceiveBytes = 16 << 10;
constexpr absl::Duration kLinger = absl::Seconds(1);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr absl::Duration kHandshakeDeadline = absl::Seconds(5);
// In one go; a cancel waits for so many.
constexpr int kMostAnswers = 64;
// Of one request, which may be for all of an image.
constexpr PageCount kMostReadAhead(4096);

absl::StatusOr<v1::FetchRequest> Decode(const MessagePieces& pieces) {
  std::string joined;
  ByteSpan bytes;
  if (pieces.size() == 1) {
    bytes = pieces[0];
  } else {
    joined = Joined(pieces);
    bytes = BytesOf(joined);
  }
  v1::FetchRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("a request that cannot be parsed");
  }
  return request;
}

}  // namespace

FetchConnection::FetchConnection(UniqueFd socket, std::string first_bytes,
                                 StreamAdmission& streams,
                                 std::shared_ptr<TlsCredentials> tls)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      streams_(streams),
      peer_(PeerOf(socket_.fd())),
      client_(ClientIdentity::OfSocket(socket_.fd())),
      received_(kReceiveBytes),
      thread_([this, first = std::move(first_bytes)] { Run(first); }) {}

FetchConnection::~FetchConnection() {
  Break();
  thread_.join();
}

void FetchConnection::Drain() {
  draining_ = true;
  // What came already is still read; then the end comes.
  shutdown(socket_.fd(), SHUT_RD);
}

void FetchConnection::Break() {
  broken_ = true;
  shutdown(socket_.fd(), SHUT_RDWR);
}

void FetchConnection::Run(const std::string& first_bytes) {
  const absl::Status status = Serve(first_bytes);
  if (entered_) streams_.Leave(this);
  if (!status.ok()) {
    LOG(Info) << "stream from " << peer_ << " ended: " << status.ToString();
  }
  // Its place is free: the client may be back already.
  admitted_.reset();
  Linger();
  over_ = true;
}

absl::Status FetchConnection::Serve(const std::string& first_bytes) {
  if (tls_ != nullptr) {
    RETURN_IF_ERROR(StartTls(first_bytes));
  } else {
    RETURN_IF_ERROR(call_->Receive(BytesOf(first_bytes)));
  }
  std::optional<absl::Status> end;
  absl::Status taken;
  while (true) {
    if (taken.ok()) taken = TakeMessages();
    if (!end.has_value()) {
      end = End(taken);
      if (end.has_value()) {
        call_->Finish(*end);
      } else if (HasRequests() && output_.empty() && !call_->has_unsent()) {
        AnswerSome();
      }
    }
    call_->Produce(output_);
    ASSIGN_OR_RETURN(const bool flushed, Send());
    if (call_->ended().has_value() && !call_->ended()->ok()) {
      return *call_->ended();
    }
    if (end.has_value() && flushed && !call_->has_unsent()) return *end;
    if (broken_) return absl::CancelledError("broken off");
    if (no_more_comes_ && (!draining_ || (flushed && call_->has_unsent()))) {
      return absl::CancelledError("the client went away");
    }
    RETURN_IF_ERROR(ReceiveSome(flushed));
  }
}

absl::Status FetchConnection::StartTls(const std::string& first_bytes) {
  RETURN_IF_ERROR(socket_.StartTls(TlsSession::Server(*tls_->Current()),
                                   BytesOf(first_bytes), kHandshakeDeadline,
                                   /*cancel=*/-1));
  client_ = ClientIdentity(socket_.PeerNames());
  return absl::OkStatus();
}

absl::StatusOr<bool> FetchConnection::Send() {
  return output_.SendBy([this](absl::Span<const iovec> pieces) {
    return socket_.Send(pieces, MSG_DONTWAIT);
  });
}

absl::Status FetchConnection::TakeMessages() {
  MessageAssembler& messages = call_->messages();
  while (messages.has_message()) {
    ASSIGN_OR_RETURN(v1::FetchRequest request, Decode(messages.front()));
    messages.Pop();
    RETURN_IF_ERROR(admitted_.has_value() ? Enter(request) : Start(request));
  }
  return absl::OkStatus();
}

absl::Status FetchConnection::Enter(const v1::FetchRequest& request) {
  RETURN_IF_ERROR(admitted_->queue.Enter(request));
  // What is prefetched is asked for out of the order in which it lies on the
  // disk, some requests at a time: it can read for all of them at once.
  if (admitted_->urgency == v1::URGENCY_PREFETCH && request.has_fetch()) {
    admitted_->writer.WillNeed(
        {ImagePage(request.fetch().first_page()),
         std::min(PageCount(request.fetch().page_count()), kMostReadAhead)});
  }
  return absl::OkStatus();
}

absl::Status FetchConnection::Start(const v1::FetchRequest& first) {
  for (const auto& [name, value] : call_->headers()) {
    if (name == ":path" && value != kFetchPagesMethod) {
      return absl::UnimplementedError(
          absl::StrCat("a connection of its own is for ", kFetchPagesMethod));
    }
  }
  ASSIGN_OR_RETURN(StreamAdmission::Admitted admitted,
                   streams_.Admit(first, client_));
  RETURN_IF_ERROR(streams_.Enter(this));
  entered_ = true;
  LOG(Info) << "stream from " << peer_ << ", " << client_.ToString()
            << ", of image " << admitted.image << ", "
            << v1::Urgency_Name(admitted.urgency);
  NameThisThread(admitted.urgency == v1::URGENCY_DEMAND ? "pl-demand"
                                                        : "pl-bulk");
  buffer_.reset(new std::byte[admitted.writer.buffer_bytes()]);
  admitted_.emplace(std::move(admitted));
  // Before the first page: the client knows that the stream is accepted.
  call_->Accept({{kProtocolMetadata, absl::StrCat(kProtocolVersion)}});
  return absl::OkStatus();
}

void FetchConnection::AwaitBudget() {
  if (admitted_->spending == nullptr) return;
  const absl::Duration pause =
      std::min(admitted_->spending->Pause(admitted_->urgency), kLongestPause);
  if (pause <= absl::ZeroDuration()) return;
  // Requests and cancels are read meanwhile. If no more come, it is the end
  // that is looked out for.
  pollfd polled = {socket_.fd(),
                   static_cast<short>(no_more_comes_ ? 0 : POLLIN), 0};
  poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(pause)) + 1);
  if (no_more_comes_ && polled.revents != 0) broken_ = true;
}

bool FetchConnection::HasRequests() const {
  return admitted_.has_value() && !admitted_->queue.empty();
}

std::optional<absl::Status> FetchConnection::End(
    const absl::Status& taken) const {
  if (!taken.ok()) return taken;
  if (HasRequests() || !output_.empty() || call_->has_unsent()) {
    return std::nullopt;
  }
  if (draining_ && no_more_comes_) return ShuttingDownError();
  if (!call_->ended().has_value()) return std::nullopt;
  return admitted_.has_value()
             ? absl::OkStatus()
             : absl::InvalidArgumentError("the first request must be `start`");
}

void FetchConnection::AnswerSome() {
  const size_t room = admitted_->writer.buffer_bytes();
  size_t used = 0;
  int answers = 0;
  // What it holds has been sent.
  if (compressor_ != nullptr) compressor_->Clear();
  do {
    const FetchQueue::Turn turn = admitted_->queue.Next();
    if (turn.may_compress && compressor_ == nullptr) {
      compressor_ = std::make_unique<PageCompressor>(room);
    }
    if (used > 0 && turn.range.count.bytes() > room - used) return;
    const uint64_t most = std::min(turn.range.count.bytes(), room);
    ClientSpending* const spending = admitted_->spending.get();
    // AwaitBudget() waits for it.
    if (spending != nullptr && !spending->Take(admitted_->urgency, most)) {
      return;
    }
    ImageRange rest = turn.range;
    const EncodedBatch batch =
        AnswerTo(turn, admitted_->writer, buffer_.get() + used,
                 compressor_.get(), &rest);
    admitted_->queue.Answered(turn, rest);
    call_->Send(batch.prefix, batch.payload);
    if (spending != nullptr) spending->GiveBack(most - batch.payload.size());
    // Of zeros and errors nothing is in the buffer.
    if (!batch.payload.empty()) {
      used += (turn.range.count - rest.count).bytes();
    }
  } while (admitted_->urgency == v1::URGENCY_PREFETCH &&
           ++answers < kMostAnswers && HasRequests());
}

absl::Status FetchConnection::ReceiveSome(bool flushed) {
  if (flushed && HasRequests() && !call_->has_unsent() &&
      !socket_.has_received()) {
    AwaitBudget();
  }
  if (no_more_comes_ && flushed) return absl::OkStatus();
  int flags = 0;
  if (!flushed && !socket_.has_received()) {
    const short wanted =
        static_cast<short>(POLLOUT | (no_more_comes_ ? 0 : POLLIN));
    pollfd polled = {socket_.fd(), wanted, 0};
    if (poll(&polled, 1, -1) < 0 && errno != EINTR) return SysError("poll");
    if ((polled.revents & POLLIN) == 0) return absl::OkStatus();
  }
  if (!flushed) {
    flags = MSG_DONTWAIT;
  } else if (!call_->has_unsent() &&
             (HasRequests() || call_->ended().has_value())) {
    flags = MSG_DONTWAIT;  // There is more to do than to wait.
  }
  received_.MakeRoom(call_->messages());
  const absl::Span<std::byte> space = received_.Space(kReceiveBytes);
  const ssize_t came = socket_.Receive(space, flags);
  if (came < 0) {
    if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) {
      return absl::OkStatus();
    }
    return socket_.Error("receive");
  }
  no_more_comes_ = came == 0;
  const absl::Status status =
      call_->Receive(received_.Took(static_cast<size_t>(came)));
  if (!status.ok()) {
    // What HTTP/2 has to say of it; the rest is lost anyway.
    call_->Produce(output_);
    Send().status().IgnoreError();
  }
  return status;
}

void FetchConnection::Linger() {
  socket_.ShutdownSending();
  char ignored[4096];
  const absl::Duration until = MonotonicNow() + kLinger;
  pollfd polled = {socket_.fd(), POLLIN, 0};
  absl::Duration left;
  while ((left = until - MonotonicNow()) > absl::ZeroDuration() &&
         poll(&polled, 1,
              static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0 &&
         recv(socket_.fd(), ignored, sizeof(ignored), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace pagelift
