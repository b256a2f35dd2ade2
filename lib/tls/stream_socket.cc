#include "lib/tls/stream_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/send_pieces.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// Taken from the kernel at once.
constexpr size_t kReceiveBytes = 64 << 10;
// Encrypted at once; what is sent after that overtakes nothing.
constexpr size_t kSendBytes = 128 << 10;

}  // namespace

// Locks: a thread that sends holds `sending` over system calls, and `mu` while
// it encrypts only. So one that receives never waits for the far end to read.
struct StreamSocket::Tls {
  absl::Mutex sending;
  std::string unsent ABSL_GUARDED_BY(sending);  // Encrypted.
  size_t unsent_from ABSL_GUARDED_BY(sending) = 0;
  // How many of the caller's bytes it is.
  size_t stands_for ABSL_GUARDED_BY(sending) = 0;

  absl::Mutex mu ABSL_ACQUIRED_AFTER(sending);
  std::unique_ptr<TlsSession> session ABSL_GUARDED_BY(mu);
  absl::Status failure ABSL_GUARDED_BY(mu);

  // Of the thread that receives.
  std::unique_ptr<std::byte[]> buffer{new std::byte[kReceiveBytes]};
  // The last read filled all the space that it was given.
  std::atomic<bool> has_more{true};
};

StreamSocket::StreamSocket() = default;
StreamSocket::StreamSocket(UniqueFd fd) : fd_(std::move(fd)) {}
StreamSocket::~StreamSocket() = default;
StreamSocket::StreamSocket(StreamSocket&&) noexcept = default;
StreamSocket& StreamSocket::operator=(StreamSocket&&) noexcept = default;

absl::Status StreamSocket::StartTls(std::unique_ptr<TlsSession> session,
                                    ByteSpan first_bytes,
                                    absl::Duration deadline, int cancel) {
  session->Receive(first_bytes);
  auto tls = std::make_unique<Tls>();
  {
    absl::MutexLock lock(&tls->mu);
    tls->session = std::move(session);
  }
  RETURN_IF_ERROR(Handshake(*tls, MonotonicNow() + deadline, cancel));
  tls_ = std::move(tls);
  return absl::OkStatus();
}

absl::Status StreamSocket::Handshake(Tls& tls, absl::Duration until,
                                     int cancel) {
  absl::MutexLock lock(&tls.mu);
  while (true) {
    const absl::StatusOr<bool> done = tls.session->Handshake();
    const std::string output = tls.session->TakeOutput();
    // A few kilobytes, for which a new socket has room.
    if (!output.empty() &&
        send(fd_.get(), output.data(), output.size(), MSG_NOSIGNAL) < 0 &&
        done.ok()) {
      return SysError("TLS handshake");
    }
    if (!done.ok()) return Annotate(done.status(), "TLS handshake");
    if (*done) return absl::OkStatus();
    pollfd polled[] = {{fd_.get(), POLLIN, 0}, {cancel, POLLIN, 0}};
    const absl::Duration left = until - MonotonicNow();
    const int ready =
        left <= absl::ZeroDuration()
            ? 0
            : poll(polled, 2,
                   static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready < 0 && errno != EINTR) return SysError("poll");
    if (ready == 0) {
      return absl::UnavailableError(
          "TLS handshake: the far end does not answer in time");
    }
    if (polled[1].revents != 0) return absl::CancelledError("stopping");
    const ssize_t came =
        recv(fd_.get(), tls.buffer.get(), kReceiveBytes, MSG_DONTWAIT);
    if (came == 0) {
      return absl::UnavailableError(
          "TLS handshake: the far end closed the connection");
    }
    if (came < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return SysError("TLS handshake");
    }
    tls.session->Receive(ByteSpan(tls.buffer.get(), static_cast<size_t>(came)));
  }
}

std::vector<std::string> StreamSocket::PeerNames() const {
  if (tls_ == nullptr) return {};
  absl::MutexLock lock(&tls_->mu);
  return tls_->session->PeerNames();
}

ssize_t StreamSocket::Receive(absl::Span<std::byte> space, int flags) {
  if (tls_ != nullptr) return ReceiveTls(*tls_, space, flags);
  return recv(fd_.get(), space.data(), space.size(), flags);
}

bool StreamSocket::has_received() const {
  return tls_ != nullptr && tls_->has_more.load(std::memory_order_relaxed);
}

void StreamSocket::SendAlert(TlsSession& session) const {
  const std::string alert = session.TakeOutput();
  send(fd_.get(), alert.data(), alert.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t StreamSocket::ReceiveTls(Tls& tls, absl::Span<std::byte> space,
                                 int flags) {
  const bool all = (flags & MSG_WAITALL) != 0;
  size_t got = 0;
  while (true) {
    bool closed;
    bool failed;
    {
      absl::MutexLock lock(&tls.mu);
      absl::StatusOr<size_t> more = tls.session->Read(space.subspan(got));
      if (!more.ok()) {
        tls.has_more.store(false, std::memory_order_relaxed);
        if (got > 0) return static_cast<ssize_t>(got);
        tls.failure = more.status();
        SendAlert(*tls.session);
        errno = EPROTO;
        return -1;
      }
      got += *more;
      closed = tls.session->has_closed();
      failed = tls.session->has_failed();
    }
    const bool full = got == space.size();
    // A failure is told by the next call, for which no more comes.
    tls.has_more.store(full || failed, std::memory_order_relaxed);
    if (full || closed || failed || (got > 0 && !all)) {
      return static_cast<ssize_t>(got);
    }
    const ssize_t came =
        recv(fd_.get(), tls.buffer.get(), kReceiveBytes, flags & MSG_DONTWAIT);
    if (came < 0 && errno == EINTR) continue;
    if (came <= 0) return got > 0 ? static_cast<ssize_t>(got) : came;
    absl::MutexLock lock(&tls.mu);
    tls.session->Receive(ByteSpan(tls.buffer.get(), static_cast<size_t>(came)));
  }
}

ssize_t StreamSocket::Send(absl::Span<const iovec> pieces, int flags) {
  if (tls_ != nullptr) return SendTls(*tls_, pieces, flags);
  return SendPieces(fd_.get(), pieces, flags);
}

ssize_t StreamSocket::SendTls(Tls& tls, absl::Span<const iovec> pieces,
                              int flags) {
  absl::MutexLock sending(&tls.sending);
  if (tls.stands_for == 0) {
    std::array<std::byte, TlsSession::kRecordBytes> record;
    size_t filled = 0;
    size_t taken = 0;
    absl::Status status;
    absl::MutexLock lock(&tls.mu);
    auto encrypt = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(tls.mu) {
      status = tls.session->Write(ByteSpan(record.data(), filled));
      filled = 0;
    };
    for (const iovec& piece : pieces) {
      const char* from = static_cast<const char*>(piece.iov_base);
      size_t left = std::min(piece.iov_len, kSendBytes - taken);
      taken += left;
      while (left > 0 && status.ok()) {
        const size_t n = std::min(left, record.size() - filled);
        std::memcpy(record.data() + filled, from, n);
        from += n;
        left -= n;
        filled += n;
        if (filled == record.size()) encrypt();
      }
    }
    if (status.ok() && filled > 0) encrypt();
    if (!status.ok()) {
      tls.failure = status;
      errno = EPROTO;
      return -1;
    }
    tls.stands_for = taken;
    tls.unsent = tls.session->TakeOutput();
    tls.unsent_from = 0;
  }
  while (tls.unsent_from < tls.unsent.size()) {
    const ssize_t sent =
        send(fd_.get(), tls.unsent.data() + tls.unsent_from,
             tls.unsent.size() - tls.unsent_from, flags | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    tls.unsent_from += static_cast<size_t>(sent);
  }
  return static_cast<ssize_t>(std::exchange(tls.stands_for, 0));
}

absl::Status StreamSocket::Error(absl::string_view what) const {
  const int error = errno;
  if (tls_ != nullptr && error == EPROTO) {
    absl::MutexLock lock(&tls_->mu);
    if (!tls_->failure.ok()) return tls_->failure;
  }
  return SysErrorOf(error, what);
}

void StreamSocket::ShutdownSending() {
  if (tls_ != nullptr) {
    absl::MutexLock sending(&tls_->sending);
    absl::MutexLock lock(&tls_->mu);
    tls_->session->Close();
    // In the midst of a record it would be no more than damage.
    if (tls_->stands_for == 0) SendAlert(*tls_->session);
  }
  shutdown(fd_.get(), SHUT_WR);
}

}  // namespace pagelift
