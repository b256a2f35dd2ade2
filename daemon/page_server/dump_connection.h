#ifndef PAGELIFT_DAEMON_PAGE_SERVER_DUMP_CONNECTION_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_DUMP_CONNECTION_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "daemon/page_server/dump_names.h"
#include "lib/base/unique_fd.h"
#include "lib/tls/stream_socket.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/criu_dump_receiver.h"

namespace pagelift {

// A connection by which a dump comes, and the thread that receives it. The log
// tells what became of it.
class DumpConnection {
 public:
  // `names` and `cancel`, a descriptor that becomes readable when all is to end
  // at once, must outlive it. Over TLS unless `tls`, the server's, is null.
  DumpConnection(UniqueFd socket, std::shared_ptr<TlsCredentials> tls,
                 const CriuDumpPatience& patience, DumpNames& names,
                 int cancel);
  // Waits for the end of the dump.
  ~DumpConnection();

  // The thread has done its work; destruction does not block.
  bool is_over() const { return over_; }

 private:
  class Writer;

  void Run();
  absl::Status Receive(Writer& writer);

  StreamSocket socket_;
  const std::string peer_;
  const std::shared_ptr<TlsCredentials> tls_;
  const CriuDumpPatience patience_;
  DumpNames& names_;
  const int cancel_;
  std::atomic<bool> over_{false};
  std::thread thread_;  // Last: uses all of the above.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_DUMP_CONNECTION_H_
