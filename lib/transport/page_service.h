#ifndef PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_
#define PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/image_access.h"
#include "lib/transport/stream_admission.h"
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
  explicit PageService(ImageAccess images,
                       KeepWorkingSets keep = KeepWorkingSets::kNo,
                       const ClientLimits& limits = ClientLimits());

  // The FetchPages streams, those that are served elsewhere, too. To drain
  // them: clients then go on at the next server of the image.
  StreamAdmission& streams() { return streams_; }

 private:
  using FetchStream =
      grpc::ServerReaderWriter<grpc::ByteBuffer, v1::FetchRequest>;

  // Answers calls of `method` by `answer`(const ClientIdentity&, const
  // Request&, Response*).
  template <typename Request, typename Response, typename Answer>
  void AddUnary(const char* method, Answer answer);

  grpc::Status ListImages(const ClientIdentity& client,
                          v1::ListImagesResponse* response);
  grpc::Status OpenImage(grpc::ServerContext* context,
                         const v1::OpenImageRequest& request,
                         grpc::ServerWriter<v1::OpenImageResponse>* writer);
  grpc::Status FetchPages(grpc::ServerContext* context, FetchStream* stream);

  // kResourceExhausted: the client has spent too much to be answered soon.
  absl::Status Charge(const grpc::ServerContext& context,
                      const ClientIdentity& client);
  absl::Status Fetch(grpc::ServerContext* context, FetchStream* stream);

  const ImageAccess images_;
  const WorkingSetHandler working_sets_;
  StreamAdmission streams_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PAGE_SERVICE_H_
