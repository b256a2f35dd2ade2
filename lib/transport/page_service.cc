#include "lib/transport/page_service.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/support/method_handler.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/transport/batch_writer.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

constexpr char kListImages[] = "/pagelift.v1.PageServer/ListImages";
constexpr char kOpenImage[] = "/pagelift.v1.PageServer/OpenImage";
constexpr char kFetchPages[] = "/pagelift.v1.PageServer/FetchPages";
constexpr char kGetWorkingSet[] = "/pagelift.v1.PageServer/GetWorkingSet";
constexpr char kAddRecording[] = "/pagelift.v1.PageServer/AddRecording";
constexpr char kDropWorkingSet[] = "/pagelift.v1.PageServer/DropWorkingSet";

// A batch is never larger than gRPC's default limit for a message that is
// received, with room for its other fields.
constexpr uint64_t kMaxBatchBytes = 2 << 20;
constexpr uint64_t kDefaultBatchBytes = 256 << 10;

}  // namespace

PageService::PageService(ImageCatalog& catalog, KeepWorkingSets keep)
    : catalog_(catalog), working_sets_(catalog, keep) {
  using grpc::internal::RpcMethod;
  using grpc::internal::RpcServiceMethod;
  AddUnary<v1::ListImagesRequest, v1::ListImagesResponse>(
      kListImages,
      [this](const auto&, auto* response) { return ListImages(response); });
  AddUnary<v1::GetWorkingSetRequest, v1::GetWorkingSetResponse>(
      kGetWorkingSet, [this](const auto& request, auto* response) {
        return ToGrpc(working_sets_.Get(request, response));
      });
  AddUnary<v1::AddRecordingRequest, v1::AddRecordingResponse>(
      kAddRecording, [this](const auto& request, auto*) {
        return ToGrpc(working_sets_.Add(request));
      });
  AddUnary<v1::DropWorkingSetRequest, v1::DropWorkingSetResponse>(
      kDropWorkingSet, [this](const auto& request, auto*) {
        return ToGrpc(working_sets_.Drop(request));
      });
  AddMethod(new RpcServiceMethod(
      kOpenImage, RpcMethod::SERVER_STREAMING,
      new grpc::internal::ServerStreamingHandler<
          PageService, v1::OpenImageRequest, v1::OpenImageResponse>(
          [](PageService* self, grpc::ServerContext* context,
             const v1::OpenImageRequest* request,
             grpc::ServerWriter<v1::OpenImageResponse>* writer) {
            return self->OpenImage(context, *request, writer);
          },
          this)));
  AddMethod(new RpcServiceMethod(
      kFetchPages, RpcMethod::BIDI_STREAMING,
      new grpc::internal::BidiStreamingHandler<PageService, v1::FetchRequest,
                                               grpc::ByteBuffer>(
          [](PageService* self, grpc::ServerContext* context,
             FetchStream* stream) { return self->FetchPages(context, stream); },
          this)));
}

template <typename Request, typename Response, typename Answer>
void PageService::AddUnary(const char* method, Answer answer) {
  AddMethod(new grpc::internal::RpcServiceMethod(
      method, grpc::internal::RpcMethod::NORMAL_RPC,
      new grpc::internal::RpcMethodHandler<PageService, Request, Response,
                                           google::protobuf::MessageLite,
                                           google::protobuf::MessageLite>(
          [answer](PageService*, grpc::ServerContext*, const Request* request,
                   Response* response) { return answer(*request, response); },
          this)));
}

grpc::Status PageService::ListImages(v1::ListImagesResponse* response) {
  for (const std::string& name : catalog_.Names()) {
    v1::ListImagesResponse::Image* image = response->add_images();
    image->set_name(name);
    absl::StatusOr<std::shared_ptr<const PageStore>> store =
        catalog_.Open(name);
    if (!store.ok()) {
      image->set_error(std::string(store.status().message()));
      continue;
    }
    image->set_content_id((*store)->description().content_id);
    image->set_page_count((*store)->description().page_count.raw());
  }
  return grpc::Status::OK;
}

grpc::Status PageService::OpenImage(
    grpc::ServerContext* context, const v1::OpenImageRequest& request,
    grpc::ServerWriter<v1::OpenImageResponse>* writer) {
  if (request.protocol_version() < kProtocolVersion) {
    return ToGrpc(absl::FailedPreconditionError(absl::StrCat(
        "this page server speaks protocol version ", kProtocolVersion,
        " and later, the client speaks up to ", request.protocol_version())));
  }
  absl::StatusOr<std::shared_ptr<const PageStore>> store =
      catalog_.Open(request.name());
  if (!store.ok()) {
    LOG(Warning) << "cannot open an image for " << context->peer() << ": "
                 << store.status().message();
    return ToGrpc(ToClient(store.status()));
  }
  DescribeInParts(
      (*store)->description(),
      [&](const v1::OpenImageResponse& part) { return writer->Write(part); });
  return grpc::Status::OK;
}

grpc::Status PageService::FetchPages(grpc::ServerContext* context,
                                     FetchStream* stream) {
  absl::Status status = Fetch(context, stream);
  if (!status.ok()) {
    LOG(Info) << "stream from " << context->peer()
              << " ended: " << status.ToString();
  }
  return ToGrpc(status);
}

absl::Status PageService::Fetch(grpc::ServerContext* context,
                                FetchStream* stream) {
  v1::FetchRequest request;
  if (!stream->Read(&request) || !request.has_start()) {
    return absl::InvalidArgumentError("the first request must be `start`");
  }
  const v1::FetchStart start = request.start();
  if (start.urgency() != v1::URGENCY_DEMAND &&
      start.urgency() != v1::URGENCY_PREFETCH) {
    return absl::InvalidArgumentError("`start` names no urgency");
  }
  absl::StatusOr<std::shared_ptr<const PageStore>> store =
      catalog_.Open(start.image());
  if (!store.ok()) return ToClient(store.status());
  const ImageDescription& description = (*store)->description();
  RETURN_IF_ERROR(CheckContentId(start.image(), start.content_id(),
                                 description.content_id));
  const uint64_t bytes = start.max_batch_bytes() == 0
                             ? kDefaultBatchBytes
                             : std::clamp<uint64_t>(start.max_batch_bytes(),
                                                    kPageSize, kMaxBatchBytes);
  BatchWriter writer(*store, PageCount(bytes / kPageSize));
  FetchHandler handler(writer, description.page_count, *context, *stream);
  if (!Enter(&handler)) {
    return absl::UnavailableError("the page server is shutting down");
  }
  absl::Cleanup leave = [this, &handler] { Leave(&handler); };
  LOG(Info) << "stream from " << context->peer() << " of image "
            << start.image() << ", " << v1::Urgency_Name(start.urgency());
  // Before the first page: the client knows that the stream is accepted.
  context->AddInitialMetadata("pagelift-protocol",
                              absl::StrCat(kProtocolVersion));
  stream->SendInitialMetadata();
  return start.urgency() == v1::URGENCY_DEMAND ? handler.ServeDemand()
                                               : handler.ServePrefetch();
}

bool PageService::Enter(FetchHandler* handler) {
  absl::MutexLock lock(&mu_);
  if (draining_) return false;
  handlers_.insert(handler);
  stats_.streams_open.store(handlers_.size());
  return true;
}

void PageService::Leave(FetchHandler* handler) {
  absl::MutexLock lock(&mu_);
  handlers_.erase(handler);
  stats_.streams_open.store(handlers_.size());
}

void PageService::Drain() {
  absl::MutexLock lock(&mu_);
  draining_ = true;
  for (FetchHandler* handler : handlers_) handler->Drain();
}

}  // namespace pagelift
