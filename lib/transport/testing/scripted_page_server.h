#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_SCRIPTED_PAGE_SERVER_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_SCRIPTED_PAGE_SERVER_H_

#include <atomic>
#include <functional>

#include "grpcpp/grpcpp.h"
#include "lib/source/image_description.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {

// A page service that answers as a test says. Thread-safe if the script is.
class ScriptedService : public v1::PageServer::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::PageBatch, v1::FetchRequest>;
  // Called for every request, with how many requests came before it.
  using Script =
      std::function<void(int before, const v1::PageRequest&, Stream&)>;

  ScriptedService(ImageDescription image, Script script);

  grpc::Status OpenImage(
      grpc::ServerContext* context, const v1::OpenImageRequest* request,
      grpc::ServerWriter<v1::OpenImageResponse>* writer) override;
  grpc::Status FetchPages(grpc::ServerContext* context,
                          Stream* stream) override;

  // That came, over all streams.
  int requests() const { return requests_; }

 private:
  const ImageDescription image_;
  const Script script_;
  std::atomic<int> requests_{0};
};

// The answer to all of `request` that PatternOf() wants.
v1::PageBatch GoodAnswer(const v1::PageRequest& request);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_SCRIPTED_PAGE_SERVER_H_
