#include "lib/http2/output_queue.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/base/send_pieces.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr size_t kMostPieces = 64;  // In one system call.

}  // namespace

void OutputQueue::AppendCopy(ByteSpan bytes) {
  if (bytes.empty()) return;
  const size_t offset = copied_.size();
  copied_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!empty()) {
    Piece& last = pieces_.back();
    if (last.borrowed == nullptr && last.offset + last.size == offset) {
      last.size += bytes.size();
      return;
    }
  }
  pieces_.push_back({nullptr, offset, bytes.size()});
}

void OutputQueue::AppendBorrowed(ByteSpan bytes) {
  if (bytes.empty()) return;
  pieces_.push_back({bytes.data(), 0, bytes.size()});
}

size_t OutputQueue::size_bytes() const {
  size_t size = 0;
  for (size_t i = first_; i < pieces_.size(); ++i) size += pieces_[i].size;
  return size;
}

absl::StatusOr<bool> OutputQueue::SendBy(Sender send) {
  while (!empty()) {
    std::array<iovec, kMostPieces> vectors;
    const size_t count = std::min(kMostPieces, pieces_.size() - first_);
    for (size_t i = 0; i < count; ++i) {
      const Piece& piece = pieces_[first_ + i];
      const void* start = piece.borrowed != nullptr
                              ? static_cast<const void*>(piece.borrowed)
                              : copied_.data() + piece.offset;
      vectors[i] = {const_cast<void*>(start), piece.size};
    }
    const ssize_t sent = send({vectors.data(), count});
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
      return SysError("send");
    }
    Consume(static_cast<size_t>(sent));
  }
  return true;
}

absl::StatusOr<bool> OutputQueue::SendTo(int socket, int flags) {
  return SendBy([&](absl::Span<const iovec> pieces) {
    return SendPieces(socket, pieces, flags);
  });
}

void OutputQueue::Consume(size_t bytes) {
  while (bytes > 0) {
    Piece& piece = pieces_[first_];
    const size_t n = std::min(bytes, piece.size);
    if (piece.borrowed != nullptr) piece.borrowed += n;
    piece.offset += n;
    piece.size -= n;
    bytes -= n;
    if (piece.size == 0) ++first_;
  }
  if (empty()) {
    copied_.clear();
    pieces_.clear();
    first_ = 0;
  }
}

}  // namespace pagelift
