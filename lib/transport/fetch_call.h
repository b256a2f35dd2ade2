#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_CALL_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_CALL_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/http2/message_assembler.h"
#include "lib/http2/output_queue.h"
#include "lib/http2/receive_buffer.h"
#include "lib/http2/single_call.h"
#include "lib/tls/stream_socket.h"
#include "lib/transport/endpoint.h"

namespace pagelift {

// The client's end of a FetchPages call, on a connection of its own.
//
// One thread at a time opens, reads and destroys it. Write() and Cancel() may
// be called from any thread: who writes puts the bytes into the socket himself,
// and who reads takes them out of it, so no message passes from one thread to
// another.
class FetchCall {
 public:
  explicit FetchCall(Endpoint endpoint);
  ~FetchCall();
  FetchCall(const FetchCall&) = delete;
  FetchCall& operator=(const FetchCall&) = delete;

  // Connects, and makes the call with its first message. kUnauthenticated: the
  // server is not the one that it should be.
  absl::Status Open(absl::string_view first_message) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until the server takes the call: true if it says so by
  // kProtocolMetadata. False if it ends it, or takes it without.
  bool WaitForAcceptance() ABSL_LOCKS_EXCLUDED(mu_);

  // Sends messages, all in one go; a failure is the reader's to notice. Waits
  // for room in the socket, not for the server. REQUIRES: Open() succeeded.
  void Write(absl::Span<const std::string> messages) ABSL_LOCKS_EXCLUDED(mu_);

  // The next message, valid until the next call; null when no more will come.
  const MessagePieces* Read() ABSL_LOCKS_EXCLUDED(mu_);

  // The same for a reader that must not wait: Take() takes what is in the
  // socket, Next() returns the next message of it, null if there is none.
  // REQUIRES: fd() is connected; Next() was null before Take().
  void Take() ABSL_LOCKS_EXCLUDED(mu_);
  const MessagePieces* Next() ABSL_LOCKS_EXCLUDED(mu_);
  // The socket, to wait for; -1 before Open(). Borrowed.
  int fd() const { return connected_; }

  // No more comes after what Next() still has. As long as it has not, end() is
  // OK.
  bool has_ended() const { return ended_; }
  // Why Open() failed, or no more messages come. OK: the server says so.
  const absl::Status& end() const { return end_; }

  // Ends the call; Open() and Read() return soon.
  void Cancel();

 private:
  absl::Status Connect();
  // Until something is known that was not: a message, headers, the end; or,
  // with MSG_DONTWAIT, not even so long.
  void ReceiveSome(int flags) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Endpoint endpoint_;
  const UniqueFd cancel_;  // An eventfd: ends Open().
  std::atomic<bool> cancelled_{false};
  StreamSocket socket_;             // Of the thread that opens.
  std::atomic<int> connected_{-1};  // The same, once it is connected.

  // Of the thread that reads.
  ReceiveBuffer received_;
  MessagePieces message_;
  absl::Status end_;
  bool ended_ = false;

  absl::Mutex mu_;
  std::unique_ptr<SingleCall> call_ ABSL_GUARDED_BY(mu_);
  OutputQueue output_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_CALL_H_
