#ifndef PAGELIFT_LIB_TLS_STREAM_SOCKET_H_
#define PAGELIFT_LIB_TLS_STREAM_SOCKET_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/base/unique_fd.h"
#include "lib/tls/tls_session.h"

namespace pagelift {

// A connected socket, with TLS or without, under the same system calls. Without
// it nothing is added to them.
//
// One thread at a time receives; any may send. shutdown(2) on fd() ends both.
class StreamSocket {
 public:
  StreamSocket();
  // Takes `fd`, which blocks.
  explicit StreamSocket(UniqueFd fd);
  ~StreamSocket();
  StreamSocket(StreamSocket&&) noexcept;
  StreamSocket& operator=(StreamSocket&&) noexcept;

  // Does the handshake, to which `first_bytes` have been read off the socket
  // already; everything after it is encrypted. Waits `deadline` at most, and no
  // longer than until `cancel`, a descriptor or -1, is readable: kCancelled.
  // Fails as TlsSession::Handshake(). Before anything is sent or received.
  absl::Status StartTls(std::unique_ptr<TlsSession> session,
                        ByteSpan first_bytes, absl::Duration deadline,
                        int cancel);
  // Whom the far end's certificate is for; empty without TLS.
  std::vector<std::string> PeerNames() const;

  // Borrowed; what poll(2) says of it holds for bytes that Receive() has not
  // taken from the kernel: see has_received().
  int fd() const { return fd_.get(); }

  // As recv(2), with MSG_DONTWAIT and MSG_WAITALL among `flags` or none of
  // them. EPROTO: TLS failed.
  ssize_t Receive(absl::Span<std::byte> space, int flags);
  // There may be bytes that Receive() returns at once although fd() has none.
  bool has_received() const;

  // As sendmsg(2), MSG_DONTWAIT or nothing in `flags`; no signal. After EAGAIN
  // the same bytes have to be offered again, those that were not sent first:
  // they may be encrypted already.
  ssize_t Send(absl::Span<const iovec> pieces, int flags);

  // What to say after Receive() or Send() failed: `what`, and errno or what TLS
  // complained of.
  absl::Status Error(absl::string_view what) const;

  // No more is sent. The far end is told, if there is room in the socket.
  void ShutdownSending();

 private:
  struct Tls;

  absl::Status Handshake(Tls& tls, absl::Duration until, int cancel);
  // That, or why, we go; for the far end, if there is room in the socket.
  void SendAlert(TlsSession& session) const;
  ssize_t ReceiveTls(Tls& tls, absl::Span<std::byte> space, int flags);
  ssize_t SendTls(Tls& tls, absl::Span<const iovec> pieces, int flags);

  UniqueFd fd_;
  std::unique_ptr<Tls> tls_;  // Null: none.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_STREAM_SOCKET_H_
