#ifndef PAGELIFT_LIB_HTTP2_SINGLE_CALL_H_
#define PAGELIFT_LIB_HTTP2_SINGLE_CALL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "lib/base/byte_span.h"
#include "lib/http2/message_assembler.h"
#include "lib/http2/output_queue.h"

struct nghttp2_session;

namespace pagelift {

// A gRPC call of streams in both directions that has an HTTP/2 connection to
// itself: the connection without its socket. Bytes that came go in, messages
// come out; messages go in, bytes for the socket come out. nghttp2 does the
// framing, the headers and the flow control.
//
// The far end may be any implementation of gRPC: one of ours knows by
// kSingleCallSetting that nothing else follows on the connection, and spares
// itself the means for that.
//
// The bodies of messages are not copied, in either direction: what was given to
// Receive() has to stay as long as messages() hold it, and the tails given to
// Send() until they are off the OutputQueue. Thread-compatible.
class SingleCall {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  // Messages that are received are at most so long: gRPC's own default.
  static constexpr size_t kMostMessageBytes = 4 << 20;

  // The client's end. `path` is that of the method, "/package.Service/Method";
  // `authority` the host, for people.
  static std::unique_ptr<SingleCall> Client(const std::string& authority,
                                            const std::string& path);
  // The server's end.
  static std::unique_ptr<SingleCall> Server();
  ~SingleCall();
  SingleCall(const SingleCall&) = delete;
  SingleCall& operator=(const SingleCall&) = delete;

  // Takes bytes that came. An error means that the far end broke the rules of
  // HTTP/2 or gRPC: the connection is to be closed.
  absl::Status Receive(ByteSpan bytes);

  // What came in whole, the oldest first.
  MessageAssembler& messages() { return messages_; }

  // The far end's headers came: a client's call (":path" among them), or a
  // server's acceptance of it.
  bool has_headers() const { return has_headers_; }
  const Headers& headers() const { return headers_; }

  // Once the far end sends no more on this call: at a client, the status by
  // which the server ended it (OK, too); at the server OK if the client
  // half-closed, and kCancelled if it broke the call off.
  const std::optional<absl::Status>& ended() const { return ended_; }

  // Server: takes the call; before Send().
  void Accept(const Headers& metadata);
  // A message: `head`, and then `tail`.
  void Send(absl::string_view head, ByteSpan tail);
  // After all messages: a client half-closes, a server ends the call with
  // `status`, accepted or not.
  void Finish(const absl::Status& status);

  // Moves what may be sent now to `output`; what the far end's window has no
  // room for stays.
  void Produce(OutputQueue& output);
  // Messages that Produce() has not moved, or not wholly.
  bool has_unsent() const { return !unsent_.empty(); }
  // There is nothing left to send or receive.
  bool is_over() const;

 private:
  struct Callbacks;  // nghttp2's; they call back into this class.
  struct Unsent {
    std::string head;
    ByteSpan tail;
  };

  SingleCall();

  void Resume();
  absl::Status FinalStatus() const;

  nghttp2_session* session_ = nullptr;
  bool is_server_ = false;
  int32_t stream_ = -1;

  MessageAssembler messages_;
  absl::Status broken_;  // What a callback found.
  bool has_headers_ = false;
  Headers headers_;
  Headers trailers_;
  size_t header_count_ = 0;
  std::optional<absl::Status> ended_;

  std::deque<Unsent> unsent_;
  bool accepted_ = false;
  bool finishing_ = false;
  absl::Status finish_;
  OutputQueue* output_ = nullptr;  // During Produce().
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_SINGLE_CALL_H_
