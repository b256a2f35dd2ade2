#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_PAGE_SERVICE_TEST_BASE_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_PAGE_SERVICE_TEST_BASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_service.h"
#include "lib/transport/testing/fetch_requests.h"
#include "lib/transport/testing/test_page_server.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {

// A page service with one image, whose page p reads as PatternOf(p), and a
// client as any language would make it: plain Protocol Buffers.
class PageServiceTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kPages = 1024;
  static constexpr char kName[] = "redis/1";

  using Stream = grpc::ClientReaderWriter<v1::FetchRequest, v1::PageBatch>;
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
  };

  PageServiceTest();

  static v1::FetchRequest Start(v1::Urgency urgency);

  std::unique_ptr<Call> Open();
  std::unique_ptr<Call> OpenStarted(v1::Urgency urgency);
  static std::vector<v1::PageBatch> ReadAll(Call& call);

  // How a stream ends whose requests are these.
  grpc::Status StatusAfter(const std::vector<v1::FetchRequest>& requests);

  // Everything that is answered to one request, which must be right.
  std::vector<v1::PageBatch> Answer(v1::Urgency urgency, uint64_t first,
                                    uint64_t count);

  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  std::shared_ptr<FakePageStore> store_ = std::make_shared<FakePageStore>(
      OneTaskImage(1, {PageId(0), PageCount(kPages)}));
  FakeCatalog catalog_;
  PageService service_{catalog_};
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<v1::PageServer::Stub> stub_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_PAGE_SERVICE_TEST_BASE_H_
