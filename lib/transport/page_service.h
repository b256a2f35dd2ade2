#ifndef PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_
#define PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "lib/transport/fetch_handler.h"
#include "lib/transport/image_catalog.h"
#include "lib/transport/working_set_handler.h"
#include "lib/workingset/working_set.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// pagelift.v1.PageServer over a catalog of images.
//
// Thread-safe: gRPC calls it on its own threads, one per stream. FetchPages is
// registered with raw messages, so that pages go out from where they are
// mapped.
class PageService : public grpc::Service {
 public:
  struct Stats {
    std::atomic<uint64_t> streams_open{0};
  };

  // `catalog` must outlive the service.
  explicit PageService(ImageCatalog& catalog,
                       KeepWorkingSets keep = KeepWorkingSets::kNo);

  const Stats& stats() const { return stats_; }

  // Ends every stream as soon as what it was asked for is answered, and refuses
  // new ones with kUnavailable. Clients go on at the next server of the image.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using FetchStream =
      grpc::ServerReaderWriter<grpc::ByteBuffer, v1::FetchRequest>;

  // Answers calls of `method` by `answer`(const Request&, Response*).
  template <typename Request, typename Response, typename Answer>
  void AddUnary(const char* method, Answer answer);

  grpc::Status ListImages(v1::ListImagesResponse* response);
  grpc::Status OpenImage(grpc::ServerContext* context,
                         const v1::OpenImageRequest& request,
                         grpc::ServerWriter<v1::OpenImageResponse>* writer);
  grpc::Status FetchPages(grpc::ServerContext* context, FetchStream* stream);

  absl::Status Fetch(grpc::ServerContext* context, FetchStream* stream);
  bool Enter(FetchHandler* handler) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(FetchHandler* handler) ABSL_LOCKS_EXCLUDED(mu_);

  ImageCatalog& catalog_;
  const WorkingSetHandler working_sets_;
  Stats stats_;
  absl::Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<FetchHandler*> handlers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_
