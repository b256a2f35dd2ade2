#include "lib/transport/testing/scripted_page_server.h"

#include <string>
#include <utility>

#include "lib/source/testing/page_pattern.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/testing/checksum_of.h"

namespace pagelift {

ScriptedService::ScriptedService(ImageDescription image, Script script)
    : image_(std::move(image)), script_(std::move(script)) {}

grpc::Status ScriptedService::OpenImage(
    grpc::ServerContext*, const v1::OpenImageRequest*,
    grpc::ServerWriter<v1::OpenImageResponse>* writer) {
  DescribeInParts(image_, [writer](const v1::OpenImageResponse& part) {
    return writer->Write(part);
  });
  return grpc::Status::OK;
}

grpc::Status ScriptedService::FetchPages(grpc::ServerContext* context,
                                         Stream* stream) {
  context->AddInitialMetadata("pagelift-protocol",
                              std::to_string(kProtocolVersion));
  stream->SendInitialMetadata();
  v1::FetchRequest request;
  while (stream->Read(&request)) {
    if (!request.has_fetch()) continue;
    script_(requests_++, request.fetch(), *stream);
  }
  return grpc::Status::OK;
}

v1::PageBatch GoodAnswer(const v1::PageRequest& request) {
  v1::PageBatch batch;
  batch.set_id(request.id());
  batch.set_first_page(request.first_page());
  batch.set_page_count(request.page_count());
  std::string pages;
  for (uint64_t i = 0; i < request.page_count(); ++i) {
    PageBytes bytes = PatternOf(ImagePage(request.first_page() + i));
    pages.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  batch.set_pages(pages);
  batch.set_checksum(ChecksumOf(batch));
  return batch;
}

}  // namespace pagelift
