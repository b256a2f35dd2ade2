#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_

#include <cstdint>
#include <list>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "lib/memory/page.h"
#include "lib/transport/batch_writer.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// Serves one FetchPages stream after its start message.
//
// Demand streams are answered by the thread that reads them: no hand-off
// between a request and its page. Prefetch streams are read ahead by a second
// thread, so that a cancel overtakes the requests that wait. Lives on the
// stream's thread, but for Drain().
class FetchHandler {
 public:
  using Stream = grpc::ServerReaderWriter<grpc::ByteBuffer, v1::FetchRequest>;

  // All must outlive the handler. `page_count` is the image's.
  FetchHandler(const BatchWriter& writer, PageCount page_count,
               grpc::ServerContext& context, Stream& stream);

  // Until the client half-closes and all is answered, or the stream breaks.
  absl::Status ServeDemand() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ServePrefetch() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the stream as soon as everything that was read is answered. From any
  // thread.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Pending {
    uint64_t id;
    ImageRange range;  // What is not answered yet.
  };

  // The request's pages, or what is wrong with it.
  absl::StatusOr<Pending> Check(const v1::FetchRequest& request) const;
  void ReadAhead() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for something to send; false when nothing more will come.
  bool NextMessage(grpc::ByteBuffer* message) ABSL_LOCKS_EXCLUDED(mu_);
  void MoveToCancelled(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const BatchWriter& writer_;
  const PageCount page_count_;
  grpc::ServerContext& context_;
  Stream& stream_;

  absl::Mutex mu_;
  // The first one is being answered. Lists, so that it stays in place when it
  // is cancelled meanwhile.
  std::list<Pending> pending_ ABSL_GUARDED_BY(mu_);
  std::list<Pending> cancelled_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  // Whether the stream's thread will look at draining_ by itself.
  bool answering_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status read_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_HANDLER_H_
