#include "lib/transport/fetch_handler.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "grpcpp/support/slice.h"
#include "lib/base/status_macros.h"
#include "lib/transport/stream_admission.h"

namespace pagelift {
namespace {

using Buffer = std::unique_ptr<std::byte[]>;

// The message as gRPC takes it: the pages are not copied, and own their buffer.
grpc::ByteBuffer ToByteBuffer(const EncodedBatch& batch, Buffer buffer) {
  grpc::Slice prefix(batch.prefix);
  if (batch.payload.empty()) return grpc::ByteBuffer(&prefix, 1);
  std::byte* owned = buffer.release();
  grpc::Slice pages(
      owned, batch.payload.size(),
      [](void* held) { delete[] static_cast<std::byte*>(held); }, owned);
  grpc::Slice slices[] = {prefix, pages};
  return grpc::ByteBuffer(slices, 2);
}

}  // namespace

FetchHandler::FetchHandler(const BatchWriter& writer, FetchQueue queue,
                           std::shared_ptr<ClientSpending> spending,
                           grpc::ServerContext& context, Stream& stream)
    : writer_(writer),
      spending_(std::move(spending)),
      context_(context),
      stream_(stream),
      queue_(std::move(queue)) {}

void FetchHandler::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  if (!answering_) context_.TryCancel();
}

absl::Status FetchHandler::ServeDemand() {
  v1::FetchRequest request;
  while (stream_.Read(&request)) {
    {
      absl::MutexLock lock(&mu_);
      answering_ = true;
      // An answer is never still to come when a cancel is read here.
      RETURN_IF_ERROR(queue_.Enter(request));
    }
    grpc::ByteBuffer message;
    while (NextMessage(v1::URGENCY_DEMAND, &message)) {
      if (!stream_.Write(message)) {
        return absl::CancelledError("the client went away");
      }
    }
    absl::MutexLock lock(&mu_);
    answering_ = false;
    if (draining_) return ShuttingDownError();
  }
  return absl::OkStatus();
}

void FetchHandler::ReadAhead() {
  v1::FetchRequest request;
  absl::Status error;
  while (error.ok() && stream_.Read(&request)) {
    absl::MutexLock lock(&mu_);
    error = queue_.Enter(request);
  }
  absl::MutexLock lock(&mu_);
  read_error_ = error;
  reading_ = false;
}

bool FetchHandler::AwaitBudget(v1::Urgency urgency, uint64_t bytes) {
  return spending_ == nullptr ||
         spending_->TakeSoon(urgency, bytes, absl::InfiniteDuration(),
                             [this] { return context_.IsCancelled(); });
}

bool FetchHandler::NextMessage(v1::Urgency urgency, grpc::ByteBuffer* message) {
  auto something = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !reading_ || draining_ || !queue_.empty();
  };
  absl::MutexLock lock(&mu_);
  while (true) {
    // Demands are answered by the thread that reads them.
    if (urgency != v1::URGENCY_DEMAND) mu_.Await(absl::Condition(&something));
    if (!read_error_.ok() || queue_.empty()) return false;
    const FetchQueue::Turn turn = queue_.Next();
    mu_.Unlock();
    const size_t most =
        std::min(writer_.buffer_bytes(), turn.range.count.bytes());
    if (!AwaitBudget(urgency, most)) {
      mu_.Lock();
      return false;
    }
    ImageRange rest = turn.range;
    Buffer buffer(new std::byte[most]);
    const EncodedBatch batch =
        AnswerTo(turn, writer_, buffer.get(), nullptr, &rest);
    if (spending_ != nullptr) spending_->GiveBack(most - batch.payload.size());
    mu_.Lock();
    if (!queue_.Answered(turn, rest)) continue;
    *message = ToByteBuffer(batch, std::move(buffer));
    return true;
  }
}

absl::Status FetchHandler::ServePrefetch() {
  {
    absl::MutexLock lock(&mu_);
    answering_ = true;
    if (draining_) return ShuttingDownError();
  }
  std::thread reader([this] { ReadAhead(); });
  grpc::ByteBuffer message;
  bool open = true;
  while (open && NextMessage(v1::URGENCY_PREFETCH, &message)) {
    open = stream_.Write(message);
  }
  {
    absl::MutexLock lock(&mu_);
    // Ends the reader's Read().
    if (!open || draining_) context_.TryCancel();
  }
  reader.join();
  absl::MutexLock lock(&mu_);
  if (!open) return absl::CancelledError("the client went away");
  return read_error_;
}

}  // namespace pagelift
