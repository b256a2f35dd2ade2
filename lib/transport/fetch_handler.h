#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "lib/transport/batch_writer.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/fetch_queue.h"
#include "lib/transport/served_stream.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// Serves one FetchPages stream of gRPC's own server after its start message:
// the way of clients that use a connection for other calls, too.
//
// Demand streams are answered by the thread that reads them: no hand-off
// between a request and its page. Prefetch streams are read ahead by a second
// thread, so that a cancel overtakes the requests that wait. Lives on the
// stream's thread, but for Drain().
class FetchHandler : public ServedStream {
 public:
  using Stream = grpc::ServerReaderWriter<grpc::ByteBuffer, v1::FetchRequest>;

  // All but `spending`, which may be null, must outlive the handler. `queue` is
  // empty.
  FetchHandler(const BatchWriter& writer, FetchQueue queue,
               std::shared_ptr<ClientSpending> spending,
               grpc::ServerContext& context, Stream& stream);

  // Until the client half-closes and all is answered, or the stream breaks.
  absl::Status ServeDemand() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ServePrefetch() ABSL_LOCKS_EXCLUDED(mu_);

  void Drain() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void ReadAhead() ABSL_LOCKS_EXCLUDED(mu_);
  // The next answer, of what is prefetched waiting for something to be asked;
  // false when there is none.
  bool NextMessage(v1::Urgency urgency, grpc::ByteBuffer* message)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Takes so much of what its client may have, waiting for it; false if the
  // stream is broken off.
  bool AwaitBudget(v1::Urgency urgency, uint64_t bytes);

  const BatchWriter& writer_;
  const std::shared_ptr<ClientSpending> spending_;
  grpc::ServerContext& context_;
  Stream& stream_;

  absl::Mutex mu_;
  FetchQueue queue_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  // Whether the stream's thread will look at draining_ by itself.
  bool answering_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status read_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_
