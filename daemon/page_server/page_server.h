#ifndef PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/door_server.h"
#include "lib/transport/image_access.h"
#include "lib/transport/page_door.h"
#include "lib/transport/page_service.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// The page service on an address, with gRPC's health and reflection services.
// Connections that carry pages and nothing else do not go through gRPC; see
// docs/wire_protocol.md.
//
// Thread-safe. Serves from Start() on.
class PageServer {
 public:
  struct Options {
    KeepWorkingSets keep = KeepWorkingSets::kNo;
    std::shared_ptr<TlsCredentials> tls;  // Null: plain text.
    size_t connections_per_client = PageDoor::kMostOfAClient;
    ClientLimits limits;
  };

  // The error says why `address` (HOST:PORT or unix:PATH, port 0 for any)
  // cannot be had.
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(
      const std::string& address, ImageAccess images, Options options);
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(
      const std::string& address, ImageAccess images) {
    return Start(address, images, Options());
  }
  // As Stop() with no time to lose.
  ~PageServer();

  // Where it listens, with the port that was chosen.
  const std::string& address() const { return server_->address(); }

  // Tells health checks that it goes, lets streams finish what they were asked
  // for, and breaks off after `deadline` what is then left. Idempotent.
  void Stop(absl::Duration deadline);

 private:
  PageServer(ImageAccess images, const Options& options);

  PageService service_;
  std::unique_ptr<DoorServer> server_;  // Last: calls the service.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_PAGE_SERVER_H_
