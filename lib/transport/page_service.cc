#include "lib/transport/page_service.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/support/method_handler.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/fetch_handler.h"
#include "lib/transport/fetch_method.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

// For which a call waits.
constexpr absl::Duration kLongestPause = absl::Seconds(5);
constexpr char kListImages[] = "/pagelift.v1.PageServer/ListImages";
constexpr char kOpenImage[] = "/pagelift.v1.PageServer/OpenImage";
constexpr char kGetWorkingSet[] = "/pagelift.v1.PageServer/GetWorkingSet";
constexpr char kAddRecording[] = "/pagelift.v1.PageServer/AddRecording";
constexpr char kDropWorkingSet[] = "/pagelift.v1.PageServer/DropWorkingSet";

}  // namespace

PageService::PageService(ImageAccess images, KeepWorkingSets keep,
                         const ClientLimits& limits)
    : images_(images), working_sets_(images, keep), streams_(images, limits) {
  using grpc::internal::RpcMethod;
  using grpc::internal::RpcServiceMethod;
  AddUnary<v1::ListImagesRequest, v1::ListImagesResponse>(
      kListImages, [this](const auto& client, const auto&, auto* response) {
        return ListImages(client, response);
      });
  AddUnary<v1::GetWorkingSetRequest, v1::GetWorkingSetResponse>(
      kGetWorkingSet,
      [this](const auto& client, const auto& request, auto* response) {
        return ToGrpc(working_sets_.Get(client, request, response));
      });
  AddUnary<v1::AddRecordingRequest, v1::AddRecordingResponse>(
      kAddRecording, [this](const auto& client, const auto& request, auto*) {
        return ToGrpc(working_sets_.Add(client, request));
      });
  AddUnary<v1::DropWorkingSetRequest, v1::DropWorkingSetResponse>(
      kDropWorkingSet, [this](const auto& client, const auto& request, auto*) {
        return ToGrpc(working_sets_.Drop(client, request));
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
      kFetchPagesMethod, RpcMethod::BIDI_STREAMING,
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
          [this, answer](PageService*, grpc::ServerContext* context,
                         const Request* request, Response* response) {
            const ClientIdentity client = ClientIdentity::OfCall(*context);
            const absl::Status charged = Charge(*context, client);
            return charged.ok() ? answer(client, *request, response)
                                : ToGrpc(charged);
          },
          this)));
}

grpc::Status PageService::ListImages(const ClientIdentity& client,
                                     v1::ListImagesResponse* response) {
  for (const std::string& name : images_.Names(client)) {
    v1::ListImagesResponse::Image* image = response->add_images();
    image->set_name(name);
    absl::StatusOr<std::shared_ptr<const PageStore>> store =
        images_.Open(client, name);
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
  const ClientIdentity client = ClientIdentity::OfCall(*context);
  const absl::Status charged = Charge(*context, client);
  if (!charged.ok()) return ToGrpc(charged);
  absl::StatusOr<std::shared_ptr<const PageStore>> store =
      images_.Open(client, request.name());
  if (!store.ok()) {
    LOG(Warning) << "cannot open an image for " << context->peer() << ": "
                 << store.status().message();
    return ToGrpc(store.status());
  }
  DescribeInParts(
      (*store)->description(),
      [&](const v1::OpenImageResponse& part) { return writer->Write(part); });
  return grpc::Status::OK;
}

absl::Status PageService::Charge(const grpc::ServerContext& context,
                                 const ClientIdentity& client) {
  const std::shared_ptr<ClientSpending> spending = streams_.SpendingOf(client);
  if (spending == nullptr) return absl::OkStatus();
  const absl::Status too_much = absl::ResourceExhaustedError(absl::StrCat(
      client.ToString(), " asks for more than it may have here in a second"));
  // Each of these waits on a thread of gRPC's.
  if (!spending->EnterWaiting()) return too_much;
  absl::Cleanup leave = [&spending] { spending->LeaveWaiting(); };
  return spending->TakeSoon(v1::URGENCY_DEMAND, 0, kLongestPause,
                            [&context] { return context.IsCancelled(); })
             ? absl::OkStatus()
             : too_much;
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
  v1::FetchRequest first;
  stream->Read(&first);  // If nothing comes, it is no start.
  ASSIGN_OR_RETURN(StreamAdmission::Admitted admitted,
                   streams_.Admit(first, ClientIdentity::OfCall(*context)));
  FetchHandler handler(admitted.writer, std::move(admitted.queue),
                       admitted.spending, *context, *stream);
  RETURN_IF_ERROR(streams_.Enter(&handler));
  absl::Cleanup leave = [this, &handler] { streams_.Leave(&handler); };
  LOG(Info) << "stream from " << context->peer() << " of image "
            << admitted.image << ", " << v1::Urgency_Name(admitted.urgency);
  // Before the first page: the client knows that the stream is accepted.
  context->AddInitialMetadata(kProtocolMetadata,
                              absl::StrCat(kProtocolVersion));
  stream->SendInitialMetadata();
  return admitted.urgency == v1::URGENCY_DEMAND ? handler.ServeDemand()
                                                : handler.ServePrefetch();
}

}  // namespace pagelift
