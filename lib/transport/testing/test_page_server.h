#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_SERVER_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_SERVER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/page_store.h"
#include "lib/transport/door_server.h"
#include "lib/transport/image_catalog.h"
#include "lib/transport/page_service.h"
#include "lib/workingset/working_set_file.h"

namespace pagelift {

// Images that a test puts in. Thread-safe.
class FakeCatalog : public ImageCatalog {
 public:
  // Replaces an image of that name.
  void Put(const std::string& name, std::shared_ptr<const PageStore> store);
  // Opening that image fails from now on.
  void Break(const std::string& name, absl::Status error);

  std::vector<std::string> Names() const override;
  absl::StatusOr<std::shared_ptr<const PageStore>> Open(
      const std::string& name) override;
  absl::StatusOr<WorkingSetFile> OpenWorkingSet(
      const std::string& name) override;

  // Where the working sets of all images are.
  const std::string& directory() const { return dir_.path(); }

 private:
  const TempDir dir_;
  mutable absl::Mutex mu_;
  std::map<std::string, absl::StatusOr<std::shared_ptr<const PageStore>>>
      images_ ABSL_GUARDED_BY(mu_);
};

// A service behind a real server on a Unix socket, which can be killed and
// started again. Lives on the test's thread.
class TestServer {
 public:
  // gRPC's own server and nothing else: what a page server in another language
  // is. REQUIRES: nothing listens on `socket`. `service` must outlive the
  // server.
  TestServer(const std::string& socket, grpc::Service& service);
  // A page server as pagelift-server has it.
  TestServer(const std::string& socket, PageService& service);
  // Breaks off all streams, as a crash would.
  ~TestServer();

  static std::string AddressOf(const std::string& socket) {
    return "unix:" + socket;
  }

 private:
  std::unique_ptr<grpc::Server> server_;  // One of these.
  std::unique_ptr<DoorServer> door_server_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_SERVER_H_
