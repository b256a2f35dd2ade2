#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_CONNECTION_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_CONNECTION_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "lib/base/unique_fd.h"
#include "lib/http2/output_queue.h"
#include "lib/http2/receive_buffer.h"
#include "lib/http2/single_call.h"
#include "lib/tls/stream_socket.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/page_compression.h"
#include "lib/transport/served_stream.h"
#include "lib/transport/stream_admission.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// The server's end of a connection that carries one FetchPages call.
//
// A thread of its own reads requests, finds pages and writes them: between a
// request and its page there is nobody to wake. It looks for requests between
// any two batches, so that a cancel overtakes what waits. Thread-safe.
class FetchConnection : public ServedStream {
 public:
  // `first_bytes` have been read off `socket`. `streams` must outlive it.
  // Unless `tls` is null, which is the server's, a handshake comes first.
  FetchConnection(UniqueFd socket, std::string first_bytes,
                  StreamAdmission& streams,
                  std::shared_ptr<TlsCredentials> tls);
  // Breaks off what is still going on.
  ~FetchConnection() override;

  void Drain() override;
  // Ends at once. Does not wait.
  void Break();
  // The thread has done its work; destruction does not block.
  bool is_over() const { return over_; }

 private:
  void Run(const std::string& first_bytes);
  // How the stream ended.
  absl::Status Serve(const std::string& first_bytes);
  absl::Status StartTls(const std::string& first_bytes);
  // What can be sent now; whether that is all.
  absl::StatusOr<bool> Send();
  // All messages that came; an error is the stream's end.
  absl::Status TakeMessages();
  absl::Status Start(const v1::FetchRequest& first);
  absl::Status Enter(const v1::FetchRequest& request);
  // How the stream is to end, if it is to.
  std::optional<absl::Status> End(const absl::Status& taken) const;
  bool HasRequests() const;
  // Waits, while its client has spent too much, until something comes.
  void AwaitBudget();
  // A demand; or of what is prefetched as much as the buffer holds, so that
  // many short answers go together.
  void AnswerSome();
  // Waits as long as there is nothing else to do: unless `flushed`, also for
  // room in the socket.
  absl::Status ReceiveSome(bool flushed);
  // Lets the client read all that was sent before the socket is closed.
  void Linger();

  StreamSocket socket_;
  const std::shared_ptr<TlsCredentials> tls_;
  StreamAdmission& streams_;
  const std::string peer_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> broken_{false};
  std::atomic<bool> over_{false};

  // Of the thread.
  ClientIdentity client_;
  std::unique_ptr<SingleCall> call_ = SingleCall::Server();
  ReceiveBuffer received_;
  OutputQueue output_;
  std::optional<StreamAdmission::Admitted> admitted_;
  std::unique_ptr<std::byte[]> buffer_;         // Of what is being sent.
  std::unique_ptr<PageCompressor> compressor_;  // Once the client wants it.
  bool entered_ = false;
  bool no_more_comes_ = false;  // The end of what can be read was reached.

  std::thread thread_;  // Last: uses all of the above.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_CONNECTION_H_
